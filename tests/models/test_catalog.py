"""From MODELS to models."""

import subprocess
import sys
from typing import Any

import pytest

from app.errors import ConfigurationError, NotFound
from app.messages import Usage
from app.models.catalog import Models, build_models
from app.settings import load
from tests.logged import capture_logs
from tests.models.servers import Provider, Reply


def build(*refs: str, **settings: Any) -> Models:
    return build_models(load(None, models=refs, **settings))


async def test_the_models_in_their_order() -> None:
    models = build(
        "ollama/qwen2.5:3b",
        "anthropic/claude-sonnet-4-5",
        "openai/gpt-4o-mini",
        "demo",
        anthropic_api_key="sk-ant-x",
        openai_api_key="sk-x",
    )
    assert list(models) == ["ollama/qwen2.5:3b", "anthropic/claude-sonnet-4-5", "openai/gpt-4o-mini", "demo"]
    assert len(models) == 4
    assert models.primary is models["ollama/qwen2.5:3b"]
    for ref, priced in models.items():
        model = priced.observed.model
        assert model.ref == ref
        assert ref in (model.name, f"{model.provider}/{model.name}")
        cost = priced.price.cost_usd(Usage(1000, 1000))
        assert (cost == 0) == (model.provider in ("ollama", "demo"))
    await models.aclose()


async def test_names_with_slashes_are_kept() -> None:
    models = build("openai/meta-llama/Llama-3", openai_base_url="http://vllm/v1", unknown_price="allow")
    assert models.primary.observed.model.name == "meta-llama/Llama-3"
    await models.aclose()


@pytest.mark.parametrize("ref", ["gpt-4", "mistral/large", "ollama/", "ollama", "/x", "demo/x", "Demo"])
def test_what_is_no_reference_stops_the_start(ref: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        build(ref)
    assert str(caught.value).startswith("MODELS: ")
    assert ref in str(caught.value)
    assert "demo, ollama/NAME, anthropic/NAME, openai/NAME" in str(caught.value)


@pytest.mark.parametrize("key", [None, "", " \n"])
def test_anthropic_needs_its_key(key: str | None) -> None:
    with pytest.raises(ConfigurationError, match=r"^ANTHROPIC_API_KEY: .*anthropic/claude-sonnet-4-5"):
        build("anthropic/claude-sonnet-4-5", anthropic_api_key=key)


async def test_the_line_end_of_a_key_file_is_no_part_of_the_key(provider: Provider) -> None:
    provider.will(Reply([b"{}"]))
    models = build("openai/a", openai_base_url=f"{provider.url}/v1", openai_api_key="sk-x\n", unknown_price="allow")
    await models.primary.observed.model.probe()
    assert provider.received[0].headers["authorization"] == "Bearer sk-x"
    await models.aclose()


@pytest.mark.parametrize(("ref", "setting"), [("anthropic/a", "ANTHROPIC_API_KEY"), ("openai/a", "OPENAI_API_KEY")])
@pytest.mark.parametrize("key", ["sk-\nx", "sk-ключ"])
def test_a_key_that_no_header_can_carry_stops_the_start(ref: str, setting: str, key: str) -> None:
    with pytest.raises(ConfigurationError, match=rf"^{setting}: ") as caught:
        build(ref, **{setting.lower(): key})
    assert key not in str(caught.value)


def test_an_unknown_price_stops_the_start() -> None:
    with pytest.raises(ConfigurationError) as caught:
        build("demo", "openai/a", "openai/b", openai_base_url="http://vllm/v1")
    assert "openai/a, openai/b" in str(caught.value)
    assert "UNKNOWN_PRICE=allow" in str(caught.value)


async def test_an_unknown_price_can_be_let_in_and_is_warned_of() -> None:
    with capture_logs() as logs:
        models = build("openai/a", "openai/b", openai_base_url="http://vllm/v1", unknown_price="allow")
    assert logs == [{"event": "models.price_unknown", "models": ["openai/a", "openai/b"], "log_level": "warning"}]
    assert models.primary.price.cost_usd(Usage(1000, 1000)) == 0
    await models.aclose()


async def test_requests_name_models_by_reference_or_by_name() -> None:
    models = build("ollama/a", "openai/a", "ollama/b", openai_base_url="http://vllm/v1", unknown_price="allow")
    assert models.find(None) is models["ollama/a"]
    assert models.find("openai/a") is models["openai/a"]
    assert models.find("b") is models["ollama/b"]
    for name in ("a", "c", "", "ollama/c"):
        with pytest.raises(NotFound, match="ollama/a, openai/a, ollama/b"):
            models.find(name)
    await models.aclose()


def test_what_is_not_configured_is_not_loaded() -> None:
    code = (
        "import sys; from app.models.catalog import build_models; from app.settings import load;"
        "build_models(load(None)); assert not {'anthropic', 'genai_prices', 'httpx2'} & sys.modules.keys()"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
