"""An agent as its YAML file describes it, and the JSON schema of such files."""

import re
from math import isfinite
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from app.agents.choosing import chosen
from app.agents.definition import (
    HARMLESS,
    Agent,
    Approving,
    Caching,
    Guarding,
    InputGuarding,
    OnDisconnect,
    Override,
    RunLimits,
    least_seconds,
)
from app.settings.kinds import DAY
from app.tools.tool import WhenTainted

NAME = r"^[A-Za-z0-9_-]{1,64}$"


class Limits(Struct, frozen=True, forbid_unknown_fields=True):
    """Bounds of a run; what is left out is the service's own setting, which also is the maximum."""

    max_iterations: Annotated[int, Meta(ge=1, le=100, description="Model calls")] | None = None
    max_tokens: Annotated[int, Meta(ge=1, description="Tokens of the run's answers, together")] | None = None
    max_run_tokens: Annotated[int, Meta(ge=1, description="Tokens read and written, together")] | None = None
    max_cost_usd: Annotated[float, Meta(gt=0, description="US dollars")] | None = None
    max_reasoning_tokens: Annotated[int, Meta(ge=0, description="Tokens thought beside the answers")] | None = None


class History(Struct, frozen=True, forbid_unknown_fields=True):
    max_tokens: Annotated[int, Meta(ge=0, description="Tokens of a session that the model is told; 0: none")]


class Cache(Struct, frozen=True, forbid_unknown_fields=True):
    """Whether equal requests are given the same answer; what is left out is the service's own setting."""

    enabled: Annotated[bool, Meta(description="Whether answers are kept and given again")] | None = None
    public: Annotated[bool, Meta(description="Whether users share them; if not, each has their own")] | None = None
    ttl_seconds: Annotated[float, Meta(ge=0.1, le=DAY, description="How long an answer is given again")] | None = None


class Guards(Struct, frozen=True, forbid_unknown_fields=True):
    """How what comes in is checked; what is left out is the service's own setting."""

    input: Annotated[InputGuarding, Meta(description="What becomes of input that a rule finds unsafe")] | None = None
    judge: Annotated[bool, Meta(description="Whether GUARD_MODEL, where it is set, judges it too")] = True


class Approvals(Struct, frozen=True, forbid_unknown_fields=True):
    """Which calls of tools a person approves, and who may."""

    risk: (
        Annotated[Literal["low", "medium", "high", "never"], Meta(description="From this risk of a tool on, each call")]
        | None
    ) = None
    tools: Annotated[tuple[str, ...], Meta(description="And each call of these tools")] = ()
    requester: Annotated[
        bool, Meta(description="Whether whoever asked for a run may approve its calls, with the scope `approvals`")
    ] = False


class AgentFile(Struct, frozen=True, forbid_unknown_fields=True):
    """An agent. Only `prompt` has to be given."""

    prompt: Annotated[str, Meta(min_length=1, description="What the model is told first")]
    name: Annotated[str, Meta(pattern=NAME, description="What requests call it; the file's name when left out")] = ""
    description: Annotated[str, Meta(max_length=1000, description="For people: what it is good for")] = ""
    models: Annotated[
        tuple[str, ...],
        Meta(
            description="References of MODELS by preference; all of them, in their order, when left out. `auto`, "
            "first, has the question choose among those of MODEL_TIERS"
        ),
    ] = ()
    temperature: Annotated[float, Meta(ge=0, le=2, description="The model's own when left out")] | None = None
    tools: (
        Annotated[
            tuple[str, ...],
            Meta(description="Names of tools, or beginnings of names with `*`; those of TOOLS when left out"),
        ]
        | None
    ) = None
    limits: Limits = Limits()
    timeout_seconds: Annotated[float, Meta(ge=0.1, description="Deadline of a run")] | None = None
    history: History | None = None
    cache: Cache = Cache()
    public: Annotated[
        bool, Meta(description="Whether every caller may use it; if not, it takes the scope `agents:NAME`")
    ] = True
    allow: Annotated[
        tuple[Override, ...], Meta(description="What a request may set for itself instead of what stands here")
    ] = tuple(sorted(HARMLESS))
    resumable: Annotated[bool, Meta(description="Whether its streams can be resumed after a lost connection")] = False
    on_disconnect: Annotated[
        OnDisconnect, Meta(description="What becomes of a run whose stream can be resumed when its reader leaves")
    ] = "cancel"
    guards: Guards = Guards()
    approvals: Approvals = Approvals()
    when_tainted: (
        Annotated[
            WhenTainted,
            Meta(description="What becomes of calls that do more than read after content that nobody vouches for"),
        ]
        | None
    ) = None


def parse(content: bytes, name: str) -> AgentFile:
    """Raises ValueError, which says where in the file something is wrong."""
    try:
        read = msgspec.yaml.decode(content, type=AgentFile)
    except msgspec.ValidationError as error:
        raise ValueError(str(error)) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(f"is not YAML: {' '.join(str(error).split())}") from None
    if read.name:
        return read
    if not re.match(NAME, name):
        raise ValueError("name: is left out, and the file's name has other characters than a-z, A-Z, 0-9, _ and -")
    return msgspec.structs.replace(read, name=name)


def json_schema() -> dict[str, Any]:
    """Of an agent's file, for editors and other programs."""
    schema = msgspec.json.schema(AgentFile)
    whole = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "An agent of agent-api", **schema}
    decoded: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(whole))
    return decoded


def build(file: AgentFile, default: Agent, models: frozenset[str], tools: tuple[str, ...]) -> Agent:
    """The agent of a file; what that leaves out is as with the default agent.

    Raises ValueError for a model or a tool that there is not, and for bounds above the service's own.
    """
    _check_numbers(file)
    _check_known("models", file.models, models)
    timeout = _at_most("timeout_seconds", file.timeout_seconds, default.timeout_seconds)
    needed = least_seconds(len(file.models or models))
    if timeout < needed:
        raise ValueError(f"timeout_seconds: is too short for the last model to be reached; set {needed:g} or more")
    return Agent(
        name=file.name,
        system_prompt=file.prompt,
        tools=default.tools if file.tools is None else _chosen("tools", file.tools, tools),
        limits=_limits(file.limits, default.limits),
        timeout_seconds=timeout,
        history_max_tokens=_at_most(
            "history.max_tokens", file.history and file.history.max_tokens, default.history_max_tokens
        ),
        description=file.description,
        models=file.models,
        temperature=file.temperature,
        public=file.public,
        allows=frozenset(file.allow),
        cache=_cache(file.cache, default.cache),
        resumable=file.resumable,
        on_disconnect=file.on_disconnect,
        guarding=Guarding(file.guards.input or default.guarding.input, file.guards.judge),
        approving=Approving(
            file.approvals.risk or default.approving.risk,
            frozenset(_chosen("approvals.tools", file.approvals.tools, tools)),
            file.approvals.requester,
        ),
        when_tainted=file.when_tainted or default.when_tainted,
    )


def _check_numbers(file: AgentFile) -> None:
    """Without a maximum, infinity is within every bound."""
    for field, number in {
        "temperature": file.temperature,
        "timeout_seconds": file.timeout_seconds,
        "limits.max_cost_usd": file.limits.max_cost_usd,
    }.items():
        if number is not None and not isfinite(number):
            raise ValueError(f"{field}: is no number")


def _check_known(field: str, named: tuple[str, ...], known: frozenset[str] | tuple[str, ...]) -> None:
    if unknown := [name for name in named if name not in known]:
        raise ValueError(f"{field}: there is no {', '.join(map(repr, unknown))}; there is {', '.join(sorted(known))}")


def _chosen(field: str, named: tuple[str, ...], known: tuple[str, ...]) -> tuple[str, ...]:
    try:
        return chosen(named, known)
    except ValueError as error:
        raise ValueError(f"{field}: {error}") from None


def _limits(given: Limits, most: RunLimits) -> RunLimits:
    bounds = {
        name: _at_most(f"limits.{name}", getattr(given, name), getattr(most, name)) for name in given.__struct_fields__
    }
    return RunLimits(**bounds)


def _cache(given: Cache, default: Caching) -> Caching:
    fields = {name: value for name in given.__struct_fields__ if (value := getattr(given, name)) is not None}
    return msgspec.structs.replace(default, **fields)


def _at_most(field: str, given: Any, most: Any) -> Any:
    if given is not None and given > most:
        raise ValueError(f"{field}: is {given:g}, and the service's own setting allows {most:g} at most")
    return most if given is None else given
