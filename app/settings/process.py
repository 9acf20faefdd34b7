"""Settings of the end of the process."""

from pydantic import BaseModel, Field

from app.settings.kinds import DAY


class ProcessSettings(BaseModel):
    drain_seconds: float = Field(
        25, ge=0, le=DAY, allow_inf_nan=False, description="How long open requests may continue after SIGTERM"
    )
