"""The agents of a process: `default`, made of the settings, and those of AGENTS_DIR, read anew when they change."""

import asyncio
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

import msgspec

from app.agents.agent_file import build, parse
from app.agents.choosing import chosen
from app.agents.definition import Agent, Approving, Caching, Guarding, RunLimits
from app.audit.audit import NO_AUDIT, Audit
from app.audit.canonical import digest
from app.audit.entry import Entry
from app.errors import ConfigurationError
from app.models.tiers import AUTO
from app.reloading import Reloading, read_bounded
from app.settings import Settings
from app.telemetry.known_series import agents_at_zero
from app.telemetry.logs import log

DEFAULT = "default"
_SUFFIXES = (".yaml", ".yml")
_MAX_FILE_BYTES = 1024 * 1024


class Agents(Mapping[str, Agent]):
    """By name. A change of the files replaces them all at once; one that is refused replaces none."""

    def __init__(
        self, settings: Settings, models: Collection[str], tools: tuple[str, ...], audit: Audit = NO_AUDIT
    ) -> None:
        """`tools` are all that there are. Raises ConfigurationError for TOOLS that name others, and for files that
        cannot be read or meant."""
        self._audit = audit
        self._default = default_agent(settings, tools_of(settings, tools))
        self._tools = tools
        self._models = tuple(models)
        self._serve({DEFAULT: self._default})
        self._folder: Reloading | None = None
        if settings.agents_dir is not None:
            path = settings.agents_dir
            self._folder = Reloading("AGENTS_DIR", path, lambda: self._load(path), self._refused)

    def __getitem__(self, name: str) -> Agent:
        return self._agents[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._agents)

    def __len__(self) -> int:
        return len(self._agents)

    async def watch(self) -> None:
        """Until cancelled."""
        if self._folder is None:
            await asyncio.Event().wait()
        else:
            await self._folder.watch()

    def refresh(self) -> None:
        """Look for changes now."""
        if self._folder is not None:
            self._folder.refresh()

    def _load(self, folder: Path) -> None:
        agents = {
            DEFAULT: self._default,
            **read_agents(folder, self._default, frozenset(self._models), self._tools),
        }
        self._serve(agents)
        log.info("agents.loaded", agents=list(agents))
        self._audit.note(Entry("admin", "allowed", on="agents", policy=_version(agents)))

    def _serve(self, agents: Mapping[str, Agent]) -> None:
        self._agents = agents
        agents_at_zero(
            {
                name: [ref for ref in agent.models or self._models if ref != AUTO] or self._models
                for name, agent in agents.items()
            }
        )

    def _refused(self, reason: str) -> None:
        log.error("agents.refused", error=reason, agents=list(self._agents))
        self._audit.note(Entry("admin", "refused", on="agents", why="invalid"))


def _version(agents: Mapping[str, Agent]) -> str:
    """Tells whether two processes serve the same agents."""
    return digest(msgspec.json.encode(agents, order="deterministic"))[:16]


def tools_of(settings: Settings, known: Collection[str]) -> tuple[str, ...]:
    """The tools of agents that list none. Raises ConfigurationError."""
    try:
        return chosen(settings.tools, known)
    except ValueError as error:
        raise ConfigurationError(f"TOOLS: {error}") from None


def default_agent(settings: Settings, tools: tuple[str, ...]) -> Agent:
    """The agent of a service without files."""
    return Agent(
        name=DEFAULT,
        system_prompt=settings.system_prompt,
        tools=tools,
        limits=RunLimits(
            max_iterations=settings.max_iterations,
            max_tokens=settings.max_tokens,
            max_run_tokens=settings.max_run_tokens,
            max_cost_usd=settings.max_cost_usd,
            max_reasoning_tokens=settings.max_reasoning_tokens,
        ),
        timeout_seconds=settings.run_timeout_seconds,
        history_max_tokens=settings.history_max_tokens,
        description="The service's agent.",
        guarding=Guarding(settings.guard_input),
        approving=Approving(settings.approve_risk),
        when_tainted=settings.when_tainted,
        cache=Caching(
            settings.answer_cache,
            settings.answer_cache_public,
            settings.answer_cache_ttl_seconds,
            settings.stale_if_error_seconds,
        ),
    )


def read_agents(folder: Path, default: Agent, models: frozenset[str], tools: tuple[str, ...]) -> dict[str, Agent]:
    """The agents of a folder's files. Raises OSError, and ValueError which names the file."""
    agents: dict[str, Agent] = {}
    for path in sorted(folder.iterdir()):
        if path.suffix not in _SUFFIXES or path.name.startswith("."):
            continue
        try:
            agent = build(parse(read_bounded(path, _MAX_FILE_BYTES), path.stem), default, models, tools)
        except (ValueError, msgspec.ValidationError) as error:
            raise ValueError(f"{path.name}: {error}") from None
        if agent.name in agents:
            raise ValueError(f"{path.name}: there already is an agent called {agent.name!r}")
        agents[agent.name] = agent
    return agents
