"""An answer's temperature and JSON schema, in each provider's way, and told in words to a server that takes none."""

from typing import Any

import pytest

from app.errors import InvalidRequest
from app.messages import UserMessage
from app.models.protocol import Model, ModelRequest
from app.models.providers.demo.model import DemoModel
from tests.models.dialects import AnthropicDialect, Dialect, OpenAIDialect, Script
from tests.models.servers import Provider

SCHEMA: dict[str, Any] = {"type": "object", "properties": {"result": {"type": "number"}}, "additionalProperties": False}
REQUEST = ModelRequest(
    "Be brief.", [UserMessage("6 * 7?")], max_tokens=100, stream=False, temperature=1.5, response_format=SCHEMA
)
WORDED = {
    "openai": "Unknown parameter: 'response_format'.",
    "ollama": "format is not supported by this model",
    "anthropic": "output_config: Extra inputs are not permitted",
}


def sent_schema(name: str, body: dict[str, Any]) -> Any:
    match name:
        case "openai":
            assert body["response_format"]["type"] == "json_schema"
            return body["response_format"]["json_schema"]["schema"]
        case "anthropic":
            assert body["output_config"]["format"]["type"] == "json_schema"
            return body["output_config"]["format"]["schema"]
        case _:
            return body["format"]


def sent_temperature(name: str, body: dict[str, Any]) -> Any:
    return body["options"]["temperature"] if name == "ollama" else body["temperature"]


def system_of(name: str, body: dict[str, Any]) -> str:
    if name == "anthropic":
        return "".join(part["text"] for part in body["system"])
    return str(body["messages"][0]["content"])


async def generate(model: Model, request: ModelRequest = REQUEST) -> None:
    await model.generate(request, lambda _: None)


async def test_both_are_sent_in_the_provider_s_own_way(dialect: Dialect, provider: Provider, model: Model) -> None:
    provider.will(dialect.plain(Script(["{}"])))
    await generate(model)
    body = provider.received[0].body
    assert sent_schema(dialect.name, body) == SCHEMA
    assert sent_temperature(dialect.name, body) == (1.0 if dialect.name == "anthropic" else 1.5)
    assert system_of(dialect.name, body) == "Be brief."


async def test_neither_is_sent_unless_asked_for(dialect: Dialect, provider: Provider, model: Model) -> None:
    provider.will(dialect.plain(Script()))
    await generate(model, ModelRequest("Be brief.", [UserMessage("Hi")], max_tokens=100, stream=False))
    body = provider.received[0].body
    assert not body.keys() & {"temperature", "response_format", "output_config", "format"}
    assert "temperature" not in body.get("options", {})


async def test_a_server_that_takes_no_schema_is_told_it_in_words(
    dialect: Dialect, provider: Provider, model: Model
) -> None:
    provider.will(dialect.error(400, WORDED[dialect.name]), dialect.plain(Script(["{}"])))
    await generate(model)
    first, second = provider.received
    assert sent_schema(dialect.name, first.body) == SCHEMA
    assert not second.body.keys() & {"response_format", "output_config", "format"}
    assert '"additionalProperties":false' in system_of(dialect.name, second.body)
    assert sent_temperature(dialect.name, second.body) is not None


@pytest.mark.parametrize("dialect", [OpenAIDialect, AnthropicDialect], indirect=True)
async def test_a_temperature_that_is_refused_is_left_out(dialect: Dialect, provider: Provider, model: Model) -> None:
    refusal = "Unsupported value: 'temperature' does not support 1.5 with this model. Only the default is supported."
    provider.will(dialect.error(400, refusal), dialect.plain(Script(["{}"])))
    await generate(model)
    assert "temperature" not in provider.received[1].body
    assert sent_schema(dialect.name, provider.received[1].body) == SCHEMA


async def test_the_demo_says_that_it_cannot() -> None:
    with pytest.raises(InvalidRequest, match="cannot answer in a format"):
        await generate(DemoModel())
