"""`@tool`: a typed async function with a docstring becomes a tool."""

import inspect
import re
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, Literal, cast, get_args, overload

from pydantic import PydanticUserError, TypeAdapter
from typing_extensions import ParamSpec, TypeVar

from app.tools.context import ToolContext
from app.tools.rules.rule import ArgumentRule
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

NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")
"""Names of tools that every provider takes."""


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

    @property
    def untrusted(self) -> bool:
        """What it returns is content that nobody vouches for."""
        return not (self.pure or self.trusted)

    def bind(self, arguments: Mapping[str, Any], context: ToolContext) -> Coroutine[Any, Any, Any]:
        """The coroutine to await. Raises pydantic's ValidationError for arguments that do not fit the schema."""
        if self.contexts:
            arguments = {**arguments, **dict.fromkeys(self.contexts, context)}
        return self.validate(arguments)

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
    trusted: bool = False,
) -> Callable[[AsyncFunction[P, R]], Tool[P, R]]: ...


def tool(
    function: AsyncFunction[..., Any] | None = None,
    /,
    *,
    timeout_seconds: float = 30,
    max_output_chars: int = 10_000,
    risk: Risk = "low",
    name: str | None = None,
    pure: bool = False,
    effect: Effect | None = None,
    trusted: bool = False,
) -> Any:
    """Make a tool of an async function; the docstring is what models read about it.

    Parameters are described with `Annotated[str, pydantic.Field(description="...")]`. After `timeout_seconds`
    the call is cancelled; of the output the first `max_output_chars` are kept. `name` is the function's own
    unless given. `risk` says how much harm a wrong call can do. A parameter of the type ToolContext is filled
    by the service, and models are not told of it. `pure`: the result follows from the arguments alone, so that
    answers that took the tool may be cached.

    `trusted`: all that it returns is its author's own, as with a clock. What other tools return may be the words of
    others: models are given it in a fence, and from then on calls that do more than read are for a person to approve.

    `effect` says what a background run does with a call that its process did not survive: `read` and `idempotent`
    tools are called again, the latter with the same `ToolContext.idempotency_key`; a tool that works `once`, as all
    do that say nothing, is not, and the model is told that the outcome is unknown. A pure tool reads.

    The function shares the event loop with every other request: one that blocks (time.sleep, requests, a long
    computation) stops them all, and no timeout can end it. Put blocking work into `asyncio.to_thread`.

    Raises TypeError for whatever cannot become a tool.
    """
    if function is None:
        return lambda f: _tool(f, name, timeout_seconds, max_output_chars, risk, pure, effect, trusted)
    return _tool(function, name, timeout_seconds, max_output_chars, risk, pure, effect, trusted)


def _tool(
    function: AsyncFunction[..., Any],
    name: str | None,
    timeout_seconds: float,
    max_output_chars: int,
    risk: Risk,
    pure: bool,
    effect: Effect | None,
    trusted: bool,
) -> Tool:
    name = _checked_name(function, name)
    if not timeout_seconds > 0 or not max_output_chars > 0 or risk not in get_args(Risk):
        raise TypeError(
            f"tool {name!r}: timeout_seconds and max_output_chars are above 0, risk one of {get_args(Risk)}"
        )
    effect = _checked_effect(name, effect, pure=pure)
    _check_signature(name, function)
    try:
        adapter = TypeAdapter(cast(Any, function))
        parameters, contexts = parameters_schema(adapter)
    except (PydanticUserError, NameError, ValueError) as error:
        raise TypeError(f"tool {name!r}: a parameter's type has no JSON schema: {error}") from error
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
        trusted=trusted,
    )


def _checked_effect(name: str, effect: Effect | None, *, pure: bool) -> Effect:
    if effect is None:
        return "read" if pure else "once"
    if effect not in get_args(Effect) or (pure and effect != "read"):
        raise TypeError(f"tool {name!r}: effect is one of {get_args(Effect)}, and that of a pure tool is 'read'")
    return effect


def _checked_name(function: AsyncFunction[..., Any], name: str | None) -> str:
    if not inspect.iscoroutinefunction(function):
        raise TypeError(f"a tool is an async function (async def), not {function!r}")
    name = function.__name__ if name is None else name
    if not NAME.fullmatch(name):
        raise TypeError(f"tool {name!r}: a name is 1 to 64 of the characters a-z A-Z 0-9 _ -")
    return name


def _check_signature(name: str, function: AsyncFunction[..., Any]) -> None:
    if not (function.__doc__ or "").strip():
        raise TypeError(f"tool {name!r} has no docstring; models read it to know what the tool does")
    for parameter in inspect.signature(function).parameters.values():
        if parameter.kind not in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY):
            raise TypeError(f"tool {name!r}: {parameter} can't be given by name; tools have named parameters only")
        if parameter.annotation is parameter.empty:
            raise TypeError(f"tool {name!r}: parameter {parameter.name!r} has no type")
