"""Prices: those of the maintained list, and none in silence."""

import subprocess
import sys
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from genai_prices import Usage as ListedUsage
from genai_prices import data_snapshot
from hypothesis import given
from hypothesis import strategies as st

from app.messages import Usage
from app.models.prices import FREE, MILLION, dearest_of, price_of
from app.runs.estimates import most_input_usd

MODELS = [
    (provider.id, model.id)
    for provider in data_snapshot.get_snapshot().providers
    if provider.id in ("anthropic", "openai")
    for model in provider.models
    if price_of(f"{provider.id}/{model.id}")
]


@given(
    st.sampled_from(MODELS),
    st.integers(0, 400_000),
    st.integers(0, 400_000),
    st.integers(0, 400_000),
    st.integers(0, 100_000),
)
def test_costs_are_those_of_the_list(model: tuple[str, str], fresh: int, read: int, written: int, output: int) -> None:
    provider, name = model
    _, listed = data_snapshot.get_snapshot().find_provider_model(name, None, provider, None)
    prices = listed.get_prices(datetime.now(UTC))
    total = fresh + read + written
    counts = {"input_tokens": total, "output_tokens": output, "cache_read_tokens": read, "cache_write_tokens": written}
    expected = prices.calc_price(ListedUsage(**counts))["total_price"]
    price = price_of(f"{provider}/{name}")
    assert price
    cost = price.cost_usd(Usage(total, output, read, written))
    assert cost == pytest.approx(float(expected - _requests(prices)), abs=1e-9)


def _requests(prices: object) -> Decimal:
    """A price a call, which models that search the web have."""
    price = getattr(prices, "requests_kcount", None)
    return price / 1000 if price else Decimal(0)


@pytest.mark.parametrize("name", [name for provider, name in MODELS if provider == "anthropic"])
def test_writing_to_the_cache_for_an_hour_costs_twice_the_input_and_is_reserved(name: str) -> None:
    price = price_of(f"anthropic/{name}", cache_ttl="1h")
    assert price
    for rates in price.tiers:
        if rates.cache_read != rates.input:  # else the model has no cache
            assert rates.cache_write == pytest.approx(2 * rates.input)
            tokens = rates.above + 1000
            assert most_input_usd(price, tokens) == pytest.approx(tokens * 2 * rates.input / MILLION)


def test_how_long_anthropic_keeps_a_prompt_changes_no_other_price() -> None:
    assert price_of("openai/gpt-5.6", cache_ttl="1h") == price_of("openai/gpt-5.6")
    assert price_of("demo", cache_ttl="1h") is FREE


def test_there_are_prices() -> None:
    assert len(MODELS) > 50
    assert ("anthropic", "claude-sonnet-4-5") in MODELS
    assert ("openai", "gpt-4o-mini") in MODELS


def test_the_price_goes_by_the_whole_input_where_there_are_tiers() -> None:
    price = price_of("anthropic/claude-sonnet-4-5-20250929")
    assert price
    assert price.cost_usd(Usage(200_000, 0)) == pytest.approx(200_000 * 3 / MILLION)
    assert price.cost_usd(Usage(200_001, 0)) == pytest.approx(200_001 * 6 / MILLION)


def test_cached_tokens_cost_what_the_provider_takes_for_them() -> None:
    price = price_of("anthropic/claude-sonnet-4-5")
    assert price
    usage = Usage(10_000, 1_000, cache_read_tokens=6_000, cache_write_tokens=3_000)
    expected = (1_000 * 3 + 6_000 * 0.3 + 3_000 * 3.75 + 1_000 * 15) / MILLION
    assert price.cost_usd(usage) == pytest.approx(expected)


@pytest.mark.parametrize("ref", ["demo", "ollama/qwen2.5:3b"])
def test_what_runs_here_is_free(ref: str) -> None:
    assert price_of(ref) is FREE
    assert FREE.cost_usd(Usage(1_000_000, 1_000_000)) == 0


@pytest.mark.parametrize("ref", ["anthropic/claude-unheard-of-9", "openai/my-own", "openai/whisper-1"])
def test_unknown_prices_are_unknown(ref: str) -> None:
    assert price_of(ref) is None


@pytest.mark.parametrize(
    "url", ["http://vllm:8000/v1", "https://api.openai.com.evil.example/v1", "http://api.groq.com"]
)
def test_elsewhere_openais_names_have_no_price(url: str) -> None:
    assert price_of("openai/gpt-4o-mini", url) is None


def test_openais_regions_are_openai() -> None:
    assert price_of("openai/gpt-4o-mini", "https://eu.api.openai.com/v1") == price_of("openai/gpt-4o-mini")


def test_the_list_is_not_loaded_where_nothing_is_paid() -> None:
    code = (
        "import sys; from app.models.prices import price_of; price_of('demo'); assert 'genai_prices' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@given(st.lists(st.sampled_from(MODELS), min_size=1, max_size=4), st.integers(0, 400_000))
def test_the_dearest_price_is_the_highest_of_each_rate(models: list[tuple[str, str]], read: int) -> None:
    prices = [price for provider, name in models if (price := price_of(f"{provider}/{name}"))]
    dearest = dearest_of(prices).rates(read)
    for rate in ("input", "output", "cache_read", "cache_write"):
        assert getattr(dearest, rate) == max(getattr(price.rates(read), rate) for price in prices)
