"""Answers that follow a JSON schema. A server that does not take one is told of it in the system prompt."""

from collections.abc import Collection, Mapping
from typing import Any

import msgspec

from app.models.protocol import ModelRequest


def system_prompt(request: ModelRequest, parameter: str, left_out: Collection[str]) -> str:
    """The request's system prompt; with the schema where `parameter`, which would carry it, is left out."""
    schema = request.response_format
    if schema is None or parameter not in left_out:
        return request.system
    told = f"Answer with one JSON object and nothing else. It has to follow this JSON schema: {_text(schema)}"
    return f"{request.system}\n\n{told}".lstrip()


def json_schema(schema: Mapping[str, Any]) -> dict[str, Any]:
    """As OpenAI's `response_format` has it: https://platform.openai.com/docs/guides/structured-outputs."""
    return {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema}}


def refusable(request: ModelRequest, parameter: str) -> list[str]:
    """The parameters of this request that its server may refuse without the answer being lost."""
    given = {"temperature": request.temperature, parameter: request.response_format}
    return [name for name, value in given.items() if value is not None]


def _text(schema: Mapping[str, Any]) -> str:
    return msgspec.json.encode(schema).decode()
