"""`@tool`: a typed async function with a docstring becomes a tool."""

import inspect
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field, replace
from functools import partial, wraps
from typing import Any, Generic, Literal, cast, get_args, overload

from pydantic import PydanticUserError, TypeAdapter
from typing_extensions import ParamSpec, TypeVar

from app.tools.checks import check_choices, check_importable, check_rules, check_signature, checked_name
from app.tools.context import ToolContext
from app.tools.isolation.limits import DEFAULT_LIMITS, ProcessLimits
from app.tools.rules.rule import ArgumentRule, hold_to
from app.tools.schema import parameters_schema

Risk = Literal["low", "medium", "high"]
Effect = Literal["read", "idempotent", "once"]
"""What a second call with the same arguments does: nothing, for the tool only reads; nothing, where the tool passes its
context's `idempotency_key` on; or the same once more."""

WhenTainted = Literal["approve", "off", "allow"]
"""What becomes of a call in a run that has seen content that nobody vouches for."""

Isolation = Literal["none", "process"]
"""Where the function runs: in the service's event loop, or in a process of its own for each call."""

P = ParamSpec("P", default=...)
R = TypeVar("R", default=Any)
AsyncFunction = Callable[P, Coroutine[Any, Any, R]]


class ToolError(Exception):
    """Raised by a tool when the call itself is at fault. The model reads the message; no stack is logged."""


@dataclass(frozen=True, slots=True, eq=False)
class Tool(Generic[P, R]):
    """A tool. Calling it calls the function as written, without validation or bounds: for unit tests.

    `parameters` is a JSON schema of type object.
    """

    name: str
    description: str
    parameters: Mapping[str, Any]
    timeout_seconds: float
    max_output_chars: int
    risk: Risk
    function: AsyncFunction[P, R]
    validate: Callable[[Mapping[str, Any]], Coroutine[Any, Any, Any]]
    """pydantic's, which calls the function."""
    contexts: tuple[str, ...] = ()
    """The parameters that are given the ToolContext."""
    pure: bool = False
    """Its result follows from its arguments alone, whoever calls it and whenever: an answer that took no other tools
    may be given again."""
    effect: Effect = "once"
    """What becomes of a call whose process died before the result was there: it is made again, or (`once`) its outcome
    counts as unknown."""
    when_tainted: WhenTainted | None = None
    """None: as the agent says. A tool that only reads is called all the same."""
    trusted: bool = False
    """What it returns is no content of others: it taints no run, and needs no fence. So are the results of pure
    tools."""
    secrets: bool = False
    """It takes and returns secrets as they are, where others get and give placeholders."""
    isolation: Isolation = "none"
    rules: Mapping[str, ArgumentRule] = field(default_factory=dict)
    """By parameter: what its value has to keep to, beside its schema. See rules/."""

    process: ProcessLimits = DEFAULT_LIMITS
    """With `isolation="process"`."""

    @property
    def untrusted(self) -> bool:
        """What it returns is content that nobody vouches for."""
        return not (self.pure or self.trusted)

    def bind(self, arguments: Mapping[str, Any], context: ToolContext) -> Coroutine[Any, Any, Any]:
        """The coroutine to await. Raises pydantic's ValidationError for arguments that do not fit the schema, and
        ArgumentRefused for those that break a rule."""
        if self.isolation == "process":
            self.check(arguments, context)
            from app.tools.isolation.process import call_in_process  # most services have no such tool

            return call_in_process(self, arguments, context)
        return self.bind_here(arguments, context)

    def bind_here(self, arguments: Mapping[str, Any], context: ToolContext) -> Coroutine[Any, Any, Any]:
        """As `bind`, in this process whatever the tool's isolation."""
        if self.contexts:
            arguments = {**arguments, **dict.fromkeys(self.contexts, context)}
        return self.validate(arguments)

    def check(self, arguments: Mapping[str, Any], context: ToolContext) -> None:
        """Raise what `bind` raises, and call nothing."""
        self.bind_here(arguments, context).close()  # a coroutine that was never awaited has done nothing

    def within(self, limits: ProcessLimits) -> "Tool[P, R]":
        """The tool, in processes with these limits if it has one of its own."""
        return replace(self, process=limits) if self.isolation == "process" else self

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Coroutine[Any, Any, R]:
        return self.function(*args, **kwargs)


@overload
def tool(function: AsyncFunction[P, R], /) -> Tool[P, R]: ...


@overload
def tool(
    *,
    timeout_seconds: float = 30,
    max_output_chars: int = 10_000,
    risk: Risk = "low",
    name: str | None = None,
    pure: bool = False,
    effect: Effect | None = None,
    when_tainted: WhenTainted | None = None,
    trusted: bool = False,
    secrets: bool = False,
    isolation: Isolation = "none",
    rules: Mapping[str, ArgumentRule] | None = None,
) -> Callable[[AsyncFunction[P, R]], Tool[P, R]]: ...


def tool(function: AsyncFunction[..., Any] | None = None, /, **options: Any) -> Any:
    """Make a tool of an async function; the docstring is what models read about it.

    Parameters are described with `Annotated[str, pydantic.Field(description="...")]`. After `timeout_seconds`
    the call is cancelled; of the output the first `max_output_chars` are kept. `name` is the function's own
    unless given. `risk` says how much harm a wrong call can do. A parameter of the type ToolContext is filled
    by the service, and models are not told of it. `pure`: the result follows from the arguments alone, so that
    answers that took the tool may be cached.

    `effect` says what a background run does with a call that its process did not survive: `read` and `idempotent`
    tools are called again, the latter with the same `ToolContext.idempotency_key`; a tool that works `once`, as all
    do that say nothing, is not, and the model is told that the outcome is unknown. A pure tool reads.

    `rules` hold arguments to more than their types, by parameter: see app/tools/rules. `when_tainted` says what
    becomes of a call after content that nobody vouches for, `trusted` that the tool's results are no such content,
    `secrets` that it takes and returns secrets as they are. With `isolation="process"` each call runs in a process of
    its own: the function has to be one of a module, and what it changes in memory is lost.

    Any other function shares the event loop with every other request: one that blocks (time.sleep, requests, a long
    computation) stops them all, and no timeout can end it. Put blocking work into `asyncio.to_thread`.

    Raises TypeError for whatever cannot become a tool.
    """
    return make_tool(function, **options) if function is not None else partial(make_tool, **options)


def make_tool(
    function: AsyncFunction[..., Any],
    *,
    timeout_seconds: float = 30,
    max_output_chars: int = 10_000,
    risk: Risk = "low",
    name: str | None = None,
    pure: bool = False,
    effect: Effect | None = None,
    when_tainted: WhenTainted | None = None,
    trusted: bool = False,
    secrets: bool = False,
    isolation: Isolation = "none",
    rules: Mapping[str, ArgumentRule] | None = None,
) -> Tool:
    """As `tool`, of a function that was made at run time."""
    name = checked_name(function, name)
    if not timeout_seconds > 0 or not max_output_chars > 0:
        raise TypeError(f"tool {name!r}: timeout_seconds and max_output_chars are above 0")
    if effect is None:
        effect = "read" if pure else "once"
    choices = {
        "risk": (risk, get_args(Risk)),
        "effect of a pure tool" if pure else "effect": (effect, ("read",) if pure else get_args(Effect)),
        "when_tainted": (when_tainted, (None, *get_args(WhenTainted))),
        "isolation": (isolation, get_args(Isolation)),
    }
    check_choices(name, choices)
    check_signature(name, function)
    if isolation == "process":
        check_importable(name, function)
    rules = rules or {}
    try:
        adapter = TypeAdapter(cast(Any, _held(function, rules) if rules else function))
        parameters, contexts = parameters_schema(adapter)
    except (PydanticUserError, NameError, ValueError) as error:
        raise TypeError(f"tool {name!r}: a parameter's type has no JSON schema: {error}") from error
    check_rules(name, rules, parameters["properties"])
    return Tool(
        name=name,
        description=inspect.cleandoc(function.__doc__ or ""),
        parameters=parameters,
        timeout_seconds=timeout_seconds,
        max_output_chars=max_output_chars,
        risk=risk,
        function=function,
        validate=adapter.validator.validate_python,
        contexts=contexts,
        pure=pure,
        effect=effect,
        when_tainted=when_tainted,
        trusted=trusted,
        secrets=secrets,
        isolation=isolation,
        rules=rules,
    )


def _held(function: AsyncFunction[..., Any], rules: Mapping[str, ArgumentRule]) -> AsyncFunction[..., Any]:
    """The function, called with arguments that keep to the rules only. pydantic calls it once they fit the schema."""
    signature = inspect.signature(function)

    @wraps(function)
    def held(*args: Any, **kwargs: Any) -> Coroutine[Any, Any, Any]:
        hold_to(rules, signature.bind(*args, **kwargs).arguments)
        return function(*args, **kwargs)

    return held
