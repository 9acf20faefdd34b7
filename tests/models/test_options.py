"""MODEL_OPTIONS: read at the start, with each mistake named by its place."""

from typing import Any

import pytest

from app.errors import ConfigurationError
from app.messages import Usage
from app.models.catalog import Models, build_models
from app.models.options import ModelOptions, PriceOptions, parse
from app.models.prices import MILLION
from app.settings import load

MODELS = ("openai/a", "ollama/b")


def build(text: str, *refs: str, **settings: Any) -> Models:
    return build_models(load(None, models=refs, model_options=text, **settings))


def test_all_of_them() -> None:
    text = """{"openai/a": {"tools": false, "context_window": 4096, "reasons": true, "price": {"input": 1, "output": 2,
        "cache_read": 0.1, "cache_write": 1.5}, "parameters": {"temperature": 0}}, "ollama/b": {}}"""
    assert parse(text, MODELS) == {
        "openai/a": ModelOptions(
            tools=False,
            context_window=4096,
            reasons=True,
            price=PriceOptions(input=1, output=2, cache_read=0.1, cache_write=1.5),
            parameters={"temperature": 0},
        ),
        "ollama/b": ModelOptions(),
    }
    assert parse("", MODELS) == {}


@pytest.mark.parametrize(
    ("text", "place", "problem"),
    [
        ("{", "the text", "JSON"),
        ("[]", "the text", "object"),
        ('{"openai/a": 5}', "openai/a", "object"),
        ('{"openai/a": {"tool": false}}', "openai/a.tool", "not permitted"),
        ('{"openai/a": {"tools": "no"}}', "openai/a.tools", "boolean"),
        ('{"openai/a": {"context_window": 5}}', "openai/a.context_window", "256"),
        ('{"openai/a": {"context_window": "8k"}}', "openai/a.context_window", "integer"),
        ('{"openai/a": {"price": 1}}', "openai/a.price", "object"),
        ('{"openai/a": {"price": {"input": 1}}}', "openai/a.price.output", "required"),
        ('{"openai/a": {"price": {"input": -1, "output": 1}}}', "openai/a.price.input", "0"),
        (
            '{"openai/a": {"parameters": {"max_tokens": 5, "n": 2}}}',
            "openai/a.parameters",
            "max_tokens, n cannot be set",
        ),
        ('{"ollama/b": {"parameters": {"options": {"num_ctx": 5}}}}', "ollama/b.parameters", "num_ctx cannot be set"),
        ('{"openai/c": {}}', "openai/c", "not in MODELS, which has openai/a, ollama/b"),
    ],
)
def test_a_mistake_is_named(text: str, place: str, problem: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        parse(text, MODELS)
    assert str(caught.value).startswith(f"MODEL_OPTIONS: {place}: ")
    assert problem in str(caught.value)


def test_several_mistakes_are_named_together() -> None:
    with pytest.raises(ConfigurationError) as caught:
        parse('{"openai/a": {"x": 1}, "ollama/b": {"tools": 1}}', MODELS)
    assert len(str(caught.value).splitlines()) == 2


async def test_a_price_is_known_then() -> None:
    models = build(
        '{"openai/a": {"price": {"input": 1, "output": 2}}, "ollama/b": {"price": {"input": 3, "output": 4}}}',
        *MODELS,
        openai_base_url="http://vllm/v1",
    )
    usage = Usage(1000, 100, 500, 100)
    assert models["openai/a"].price.cost_usd(usage) == pytest.approx(1200 / MILLION)
    assert models["ollama/b"].price.cost_usd(usage) == pytest.approx(3400 / MILLION)
    await models.aclose()


async def test_cached_tokens_may_have_prices() -> None:
    price = '{"input": 1, "output": 2, "cache_read": 0.1, "cache_write": 1.5}'
    models = build(f'{{"openai/a": {{"price": {price}}}}}', "openai/a", openai_base_url="http://vllm/v1")
    usage = Usage(1000, 100, 500, 100)
    assert models.primary.price.cost_usd(usage) == pytest.approx((400 + 200 + 50 + 150) / MILLION)
    await models.aclose()


async def test_windows_and_whether_a_model_reasons() -> None:
    refs = ("openai/gpt-4o-mini", "anthropic/claude-sonnet-4-5", "ollama/b")
    keys = {"openai_api_key": "sk-x", "anthropic_api_key": "sk-ant-x"}
    models = build("", *refs, **keys)
    assert [priced.observed.model.context_window for priced in models.values()] == [128_000, 200_000, 8192]
    assert not any(priced.observed.model.reasons for priced in models.values())
    await models.aclose()
    options = ", ".join(f'"{ref}": {{"context_window": 4096, "reasons": true}}' for ref in refs)
    models = build(f"{{{options}}}", *refs, **keys)
    assert [priced.observed.model.context_window for priced in models.values()] == [4096, 4096, 4096]
    assert all(priced.observed.model.reasons for priced in models.values())
    await models.aclose()


async def test_elsewhere_a_window_is_not_known() -> None:
    models = build("", "openai/gpt-4o-mini", openai_base_url="http://vllm/v1", unknown_price="allow")
    assert models.primary.observed.model.context_window is None
    await models.aclose()


@pytest.mark.parametrize("key", [None, "", " \n"])
def test_openai_itself_needs_a_key(key: str | None) -> None:
    with pytest.raises(ConfigurationError, match=r"^OPENAI_API_KEY: .*openai/gpt-4o-mini.*OPENAI_BASE_URL"):
        build("", "openai/gpt-4o-mini", openai_api_key=key)


async def test_other_servers_need_none() -> None:
    models = build("", "openai/a", openai_base_url="http://vllm/v1", unknown_price="allow")
    await models.aclose()
