"""What a model call costs, by the maintained list of `genai-prices` as it is installed; never fetched."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from app.messages import Usage

OPENAI_BASE_URL = "https://api.openai.com/v1"
MILLION = 1_000_000


@dataclass(frozen=True, slots=True)
class Rates:
    """US dollars a million tokens, for calls whose whole input is over `above` tokens."""

    above: int
    input: float
    output: float
    cache_read: float
    cache_write: float


@dataclass(frozen=True, slots=True)
class Price:
    """The rates of a model, the highest tier first; the last one is for `above=0`."""

    tiers: tuple[Rates, ...]

    def rates(self, input_tokens: int) -> Rates:
        """Of a call whose whole input is so many tokens."""
        for tier in self.tiers[:-1]:
            if input_tokens > tier.above:
                return tier
        return self.tiers[-1]

    def cost_usd(self, usage: Usage) -> float:
        """The cost of one call. It may not be asked for the sum of several: tiers go by a call's input."""
        rates = self.rates(usage.input_tokens)
        read, written = usage.cache_read_tokens, usage.cache_write_tokens
        fresh = max(0, usage.input_tokens - read - written)
        return (
            fresh * rates.input
            + usage.output_tokens * rates.output
            + read * rates.cache_read
            + written * rates.cache_write
        ) / MILLION


FREE = Price((Rates(0, 0.0, 0.0, 0.0, 0.0),))
"""Of what runs on one's own machines."""

UNKNOWN = Price(FREE.tiers)
"""Of a model that UNKNOWN_PRICE=allow lets in: an object of its own, since its calls are counted."""


def dearest_of(prices: Sequence[Price]) -> Price:
    """The least price that is nowhere below any of these."""
    starts = sorted({rates.above for price in prices for rates in price.tiers}, reverse=True)
    return Price(tuple(_dearest_rates(start, [price.rates(start + 1) for price in prices]) for start in starts))


def _dearest_rates(above: int, rates: Sequence[Rates]) -> Rates:
    return Rates(
        above,
        max(each.input for each in rates),
        max(each.output for each in rates),
        max(each.cache_read for each in rates),
        max(each.cache_write for each in rates),
    )


def flat_price(input_: float, output: float, cache_read: float | None, cache_write: float | None) -> Price:
    """A price in US dollars a million tokens; cached tokens without one cost what other input does."""
    read = input_ if cache_read is None else cache_read
    write = input_ if cache_write is None else cache_write
    return Price((Rates(0, input_, output, read, write),))


def price_of(ref: str, openai_base_url: str = OPENAI_BASE_URL, cache_ttl: str = "5m") -> Price | None:
    """The price of the model that `provider/name` stands for, with Anthropic's cache written for so long; None: not
    known.

    `demo` and `ollama/…` are free. `openai/…` has OpenAI's price only at OpenAI: elsewhere the same name says
    nothing about the cost. A price that changes on a date in the list does so at the next start.
    """
    provider, _, name = ref.partition("/")
    if provider in ("demo", "ollama"):
        return FREE
    if provider == "anthropic" or (provider == "openai" and is_openai(openai_base_url)):
        return _listed_price(_listed(provider, name), cache_ttl if provider == "anthropic" else "5m")
    return None


def embedding_price_of(ref: str, openai_base_url: str = OPENAI_BASE_URL) -> Price | None:
    """The price of an embedding model, whose input alone is paid for; None: not known."""
    provider, _, name = ref.partition("/")
    if provider == "ollama":
        return FREE
    model = _listed(provider, name) if provider == "openai" and is_openai(openai_base_url) else None
    rate = model.get_prices(datetime.now(UTC)).input_mtok if model else None
    return None if rate is None else flat_price(_rate(rate, 0), 0.0, None, None)


def context_window_of(provider: str, name: str) -> int | None:
    """The context window of a model at the address of the provider itself, in tokens; None: not known."""
    model = _listed(provider, name)
    return model.context_window if model else None


def is_openai(base_url: str) -> bool:
    """Whether this address is OpenAI's own, regional ones included."""
    return _is_at(base_url, "api.openai.com")


def is_anthropic(base_url: str) -> bool:
    """Whether this address is Anthropic's own."""
    return _is_at(base_url, "api.anthropic.com")


def _is_at(base_url: str, own: str) -> bool:
    host = urlsplit(base_url).hostname or ""
    return host == own or host.endswith(f".{own}")


def _listed(provider: str, name: str) -> Any:
    """The entry of the list, or None."""
    # Costs 12 MB and a third of a second, which a service without paid models need not spend.
    from genai_prices import data_snapshot

    try:
        return data_snapshot.get_snapshot().find_provider_model(name, None, provider, None)[1]
    except LookupError:
        return None


def _listed_price(model: Any, cache_ttl: str) -> Price | None:
    if model is None:
        return None
    prices = model.get_prices(datetime.now(UTC))
    if prices.input_mtok is None or prices.output_mtok is None:
        return None
    read = prices.input_mtok if prices.cache_read_mtok is None else prices.cache_read_mtok
    write = prices.cache_write_1h_mtok if cache_ttl == "1h" else prices.cache_write_mtok
    write = prices.input_mtok if write is None else write
    listed = (prices.input_mtok, prices.output_mtok, read, write)
    starts = {0} | {tier.start for price in listed for tier in getattr(price, "tiers", ())}
    return Price(
        tuple(Rates(start, *(_rate(price, start) for price in listed)) for start in sorted(starts, reverse=True))
    )


def _rate(price: Any, above: int) -> float:
    """Of a `Decimal`, or of `TieredPrices` for an input of more than `above` tokens."""
    rate = getattr(price, "base", price)
    for tier in getattr(price, "tiers", ()):
        if tier.start <= above:
            rate = tier.price
    return float(rate)
