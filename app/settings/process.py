"""Settings of the end of the process and of its logs."""

from typing import Literal

from pydantic import BaseModel, Field

from app.settings.kinds import DAY, Level


class ProcessSettings(BaseModel):
    drain_seconds: float = Field(
        25, ge=0, le=DAY, allow_inf_nan=False, description="How long open requests may continue after SIGTERM"
    )
    log_level: Level = Field("info", description="Minimum level that is logged")
    log_format: Literal["json", "console"] = Field("json", description="`console` for people")
    log_content: bool = Field(False, description="Also log what users, models and tools say")
