"""Settings of logs and traces. Where traces go to is in OpenTelemetry's own variables, `OTEL_*`."""

from typing import Literal

from pydantic import BaseModel, Field

from app.settings.kinds import GIB, Dialects, Hosts, Level, Seconds


class TelemetrySettings(BaseModel):
    log_level: Level = Field("info", description="Minimum level that is logged")
    log_format: Literal["json", "console"] = Field("json", description="`console` for people")
    log_content: bool = Field(False, description="Also log what users, models and tools say")
    log_file: str = Field("", description="File that gets every line as well and is rotated; a cluster needs none")
    log_error_file: str = Field("", description="File that gets the lines of errors as well, rotated like LOG_FILE")
    log_file_max_bytes: int = Field(
        10_485_760, ge=1024, le=GIB, description="Size at which a log file is rotated, in bytes"
    )
    log_file_backups: int = Field(5, ge=0, le=1000, description="How many rotated log files are kept")
    trace_content: bool = Field(
        False, description="Also put into spans what users, models and tools say, without secrets, at most 8 KiB each"
    )
    trace_dialects: Dialects = Field(
        ("otel",),
        description="Names that spans use, comma-separated: `otel`, and `openinference` for Phoenix, `langfuse`",
    )
    trace_hosts: Hosts = Field(
        (),
        description="Hosts beside those of OLLAMA_API_BASE and OPENAI_BASE_URL that are sent `traceparent`, "
        "comma-separated; `.internal` stands for all hosts below it",
    )
    trace_late: bool = Field(
        True,
        description="With traces on, also export the runs that were not sampled and failed, were slow or dear or "
        "changed their model",
    )
    trace_slow_seconds: Seconds = Field(30, description="From when on a run is slow, for TRACE_LATE")
    trace_dear_usd: float = Field(
        0.5, ge=0, le=10_000, allow_inf_nan=False, description="From which cost on a run is dear, for TRACE_LATE"
    )
