"""From the references in MODELS to models with their prices."""

import ssl
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib.metadata import entry_points

from pydantic import SecretStr

from app.errors import ConfigurationError, NotFound
from app.models.breaker import Breaker
from app.models.bulkhead import Bulkhead
from app.models.observed import ObservedModel
from app.models.options import NO_OPTIONS, ModelOptions, parse
from app.models.prices import UNKNOWN, Price, context_window_of, flat_price, is_anthropic, is_openai, price_of
from app.models.protocol import Model
from app.models.providers.demo.model import DemoModel
from app.models.providers.http import Http
from app.models.providers.ollama.model import OllamaModel
from app.models.providers.openai.model import OpenAIModel
from app.models.resilient import ResilientModel
from app.models.retries import Retries
from app.models.retry_budget import RetryBudget
from app.models.silence import Deadlines
from app.models.tiers import AUTO
from app.settings import Settings
from app.telemetry.logs import log
from app.telemetry.traces import Tracing
from app.tls import client_context

BuildModel = Callable[[str, Settings, ModelOptions, Http], Model]
"""Makes a provider's model of its name there, the settings, the model's options and the HTTP client of the process."""

GROUP = "agent_api.providers"
"""The entry-point group of packages with further providers; each entry point is a BuildModel."""


class Models(Mapping[str, ResilientModel]):
    """The configured models by reference, in order of preference. Built once a process."""

    def __init__(self, by_ref: Mapping[str, ResilientModel], http: Http, judge: ResilientModel | None = None) -> None:
        self._by_ref = by_ref
        self.judge = judge
        """That of GUARD_MODEL, which need not be one of the others."""
        self._http = http

    def __getitem__(self, ref: str) -> ResilientModel:
        return self._by_ref[ref]

    def __iter__(self) -> Iterator[str]:
        return iter(self._by_ref)

    def __len__(self) -> int:
        return len(self._by_ref)

    @property
    def primary(self) -> ResilientModel:
        return next(iter(self._by_ref.values()))

    def find(self, name: str | None, among: Sequence[str] = ()) -> ResilientModel:
        """The model a request asks for: by reference, or by the provider's name where only one has that; for
        None the first. `among` are the references of those that it may ask for; none: all. Raises NotFound."""
        if name is None:
            return self._by_ref[among[0]] if among else self.primary
        if name == AUTO and not among:
            raise NotFound(f"`{AUTO}` is not configured here: the operator has to set MODEL_TIERS.")
        found = self._by_ref.get(name) or self._only_one_called(name)
        if found is None or (among and found.ref not in among):
            raise NotFound(f"There is no such model here; there is {', '.join(among or self._by_ref)}.")
        return found

    def chain(self, name: str | None, among: Sequence[str] = ()) -> tuple[ResilientModel, ...]:
        """The models that may answer a request, by preference: `among`, or all. One that is asked for by its name is
        not answered for by another. Raises NotFound."""
        if AUTO in among:  # which stands for the tiers, and is not asked for here
            among = [ref for ref in among if ref != AUTO]
        if name is not None:
            return (self.find(name, among),)
        return tuple([self._by_ref[ref] for ref in among or self._by_ref])

    def _only_one_called(self, name: str) -> ResilientModel | None:
        same = [model for model in self._by_ref.values() if model.name == name]
        return same[0] if len(same) == 1 else None

    async def aclose(self) -> None:
        judge = [] if self.judge is None or self.judge.ref in self._by_ref else [self.judge]
        for model in (*self._by_ref.values(), *judge):
            await model.aclose()
        await self._http.aclose()


def build_models(settings: Settings, tracing: Tracing | None = None) -> Models:
    """The models of MODELS; nothing is connected yet. Raises ConfigurationError."""
    http = Http(settings.connect_timeout_seconds, tls=_tls(settings), tracing=tracing)
    refs = list(dict.fromkeys([*settings.models, *([settings.guard_model] if settings.guard_model else [])]))
    options = parse(settings.model_options, refs)
    models = [_build(ref, settings, options.get(ref, NO_OPTIONS), http) for ref in refs]
    prices = {model.ref: _price(model.ref, settings, options.get(model.ref, NO_OPTIONS)) for model in models}
    unknown = [ref for ref, price in prices.items() if price is None]
    if unknown and settings.unknown_price == "error":
        raise ConfigurationError(
            f"MODELS: no price is known for {', '.join(unknown)}; MODEL_OPTIONS can give it, "
            "UNKNOWN_PRICE=allow counts such calls as $0"
        )
    if unknown:
        log.warning("models.price_unknown", models=unknown)
    built = {model.ref: _resilient(model, prices[model.ref] or UNKNOWN, settings, tracing) for model in models}
    judge = built[settings.guard_model] if settings.guard_model else None
    return Models({ref: built[ref] for ref in settings.models}, http, judge)


def _resilient(model: Model, price: Price, settings: Settings, tracing: Tracing | None) -> ResilientModel:
    deadlines = Deadlines(
        settings.first_content_timeout_seconds,
        settings.first_content_timeout_per_1000_tokens,
        settings.content_gap_timeout_seconds,
    )
    retries = Retries(model.ref, settings.model_retries, settings.retry_after_max_seconds, RetryBudget())
    most = settings.max_concurrent_calls
    return ResilientModel(
        ObservedModel(model, price, deadlines),
        retries,
        tracing,
        breaker=Breaker(model.ref, model.probe) if settings.breaker else None,
        bulkhead=None if most is None else Bulkhead(model.ref, most, settings.max_queued_calls),
    )


def _tls(settings: Settings) -> ssl.SSLContext | None:
    """How certificates are checked, where that is another way than the default."""
    return None if settings.tls_strict else client_context(strict=False)


def _price(ref: str, settings: Settings, options: ModelOptions) -> Price | None:
    if given := options.price:
        return flat_price(given.input, given.output, given.cache_read, given.cache_write)
    return price_of(ref, settings.openai_base_url, settings.prompt_cache_ttl)


def _build(ref: str, settings: Settings, options: ModelOptions, http: Http) -> Model:
    if ref == "demo":
        return DemoModel()
    provider, _, name = ref.partition("/")
    build = _PROVIDERS.get(provider) or _installed(provider)
    if build is None or not name:
        known = ", ".join(["demo", *(f"{known}/NAME" for known in _PROVIDERS)])
        named = "MODELS" if ref in settings.models else "GUARD_MODEL"
        raise ConfigurationError(f"{named}: `{ref}` is not a model reference; known are {known}")
    return build(name, settings, options, http)


def _installed(provider: str) -> BuildModel | None:
    """The provider of that name in an installed package."""
    for entry_point in entry_points(group=GROUP, name=provider):
        build: BuildModel = entry_point.load()
        return build
    return None


def _ollama(name: str, settings: Settings, options: ModelOptions, http: Http) -> Model:
    num_ctx = options.context_window or settings.ollama_num_ctx
    return OllamaModel(name, settings.ollama_api_base, num_ctx, settings.ollama_keep_alive, http, options)


def _anthropic(name: str, settings: Settings, options: ModelOptions, http: Http) -> Model:
    key = provider_key("ANTHROPIC_API_KEY", settings.anthropic_api_key)
    if key is None:
        raise ConfigurationError(f"ANTHROPIC_API_KEY: is not set, and MODELS has `anthropic/{name}`")
    # Costs 42 MB and more than a second, which a service without Anthropic's models need not spend.
    from app.models.providers.anthropic.model import AnthropicModel

    window = context_window_of("anthropic", name) if is_anthropic(settings.anthropic_base_url) else None
    return AnthropicModel(
        name,
        settings.anthropic_base_url,
        key,
        connect_seconds=settings.connect_timeout_seconds,
        options=options,
        context_window=window,
        tls=_tls(settings),
        cache_ttl=settings.prompt_cache_ttl,
        outgoing=http.outgoing,
    )


def _openai(name: str, settings: Settings, options: ModelOptions, http: Http) -> Model:
    key = provider_key("OPENAI_API_KEY", settings.openai_api_key)
    own = is_openai(settings.openai_base_url)
    if own and key is None:
        raise ConfigurationError(
            f"OPENAI_API_KEY: is not set, and MODELS has `openai/{name}` at OpenAI itself; for another server set "
            "OPENAI_BASE_URL"
        )
    window = context_window_of("openai", name) if own else None
    return OpenAIModel(name, settings.openai_base_url, key, http, options, window)


def provider_key(setting: str, secret: SecretStr | None) -> str | None:
    """Without the line end that keys get from files."""
    key = secret.get_secret_value().strip() if secret else ""
    if not (key.isascii() and key.isprintable()) or " " in key:
        raise ConfigurationError(f"{setting}: has characters that a key cannot have")
    return key or None


_PROVIDERS: Mapping[str, BuildModel] = {
    "ollama": _ollama,
    "anthropic": _anthropic,
    "openai": _openai,
}
