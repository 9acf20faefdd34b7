"""Bodies of `POST /batches`, for validation and for the OpenAPI document."""

from pydantic import BaseModel, Field

from app.api.dialects.native.kept_fields import Time
from app.api.dialects.native.requests import Choices
from app.api.requests import STRICT, Id, Name, UserId


class BatchOptions(Choices):
    """What all inputs of a batch are asked with."""

    model_config = STRICT

    model: Name | None = Field(None, description="One of the service's models; the first when left out")
    agent: Name | None = Field(None, description="One of the service's agents; `default` when left out")
    user_id: UserId | None = None
    start_at: Time | None = Field(
        None, description="When it begins (RFC 3339, with an offset), at most 366 days ahead; now when left out"
    )


class BatchInput(BaseModel):
    """An input: its line, where they come as JSON lines."""

    model_config = STRICT

    custom_id: Id = Field(description="Yours, to find its result by; no two inputs of a batch have the same")
    message: str = Field(min_length=1, description="The task. `query` is another name for it", examples=["6 * 7?"])


class BatchRequest(BatchOptions):
    inputs: list[BatchInput] = Field(min_length=1)
