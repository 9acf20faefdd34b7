"""Services whose models are the misbehaving provider's, with prices, and nothing that would limit the load."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.resilience.books import PRICE
from tests.resilience.provider import Provider
from tests.service import Service

_UNLIMITED = {
    "anonymous_per_minute": "off",
    "anonymous_concurrent": "off",
    "refused_per_minute": "off",
    "budget_anonymous_share": "off",
    "budget_global_day_usd": 10_000,
    "budget_user_day_usd": 10_000,
}


RUN_SECONDS = 20.0
NO_SECONDS: Mapping[str, float] = {}
NO_WINDOWS: Mapping[str, int] = {}


def _window(tokens: int | None) -> Mapping[str, int]:
    return {} if tokens is None else {"context_window": tokens}


def refs(models: Sequence[str]) -> list[str]:
    return [model if "/" in model else f"openai/{model}" for model in models]


def settings_of(
    provider: Provider,
    models: Sequence[str],
    *,
    windows: Mapping[str, int] = NO_WINDOWS,
    **settings: object,
) -> Mapping[str, object]:
    """Its `models` are OpenAI's where they name no other provider; `windows` are context windows by reference."""
    all_refs = refs(models)
    options = {ref: {"price": PRICE, "reasons": False, **_window(windows.get(ref))} for ref in all_refs}
    return {
        "models": ",".join(all_refs),
        "model_options": json.dumps(options),
        "openai_base_url": f"{provider.url}/v1",
        "openai_api_key": "sk-of-the-service",
        **_UNLIMITED,
        **settings,
    }


def service_of(
    folder: Path,
    provider: Provider,
    models: Sequence[str],
    *,
    windows: Mapping[str, int] = NO_WINDOWS,
    **settings: object,
) -> Service:
    service = Service(folder, **settings_of(provider, models, windows=windows, **settings))
    service.may_log_errors = True
    return service


def write_agents(folder: Path, agents: Mapping[str, Sequence[str]], seconds: Mapping[str, float] = NO_SECONDS) -> Path:
    """Agents by name, each with the references of its models; `seconds` are deadlines by the agents' names."""
    folder.mkdir(parents=True)
    for name, all_refs in agents.items():
        models = "\n".join(f"  - {ref!r}" for ref in all_refs)
        timeout = seconds.get(name, RUN_SECONDS)
        text = f"prompt: Count.\ntools: [calculator]\ntimeout_seconds: {timeout}\nmodels:\n{models}\n"
        (folder / f"{name}.yaml").write_text(text)
    return folder


def resident_mib(service: Service) -> float:
    pages = Path(f"/proc/{service.process.pid}/statm").read_text().split()[1]
    return int(pages) * 4096 / 2**20
