"""Parameters and bodies that several routes take, for validation and for the OpenAPI document."""

from typing import Annotated, Any

from pydantic import AfterValidator, ConfigDict, Field, RootModel

Id = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$", examples=["ada"])]
Name = Annotated[str, Field(max_length=256)]

STRICT = ConfigDict(extra="forbid", strict=True)


def _printable(text: str) -> str:
    """Raises ValueError for a name that people could not tell from another."""
    if text.isspace() or not text.isprintable() or "\ufffd" in text:
        raise ValueError("must be printable text in UTF-8")
    return text


UserId = Annotated[
    str,
    Field(
        min_length=1,
        max_length=256,
        description="Whose the conversation is: a name, an e-mail address, `auth0|…`, any printable text. "
        "With credentials it is theirs and can be left out",
        examples=["ada"],
    ),
    AfterValidator(_printable),
]


class ToolArguments(RootModel[dict[str, Any]]):
    """The tool's arguments, which its `parameters` describe."""

    model_config = ConfigDict(strict=True, json_schema_extra={"examples": [{"expression": "6 * 7"}]})
