"""What would make a run like this one cheaper or better: a few rules over what it used. Costs nothing to ask for."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from app.messages import Message
from app.models.estimates import BYTES_A_TOKEN, estimated_message_tokens
from app.models.resilient import ResilientModel
from app.runs.events import Suggestion
from app.runs.state import RunState
from app.tools.registry import Registry

_LONG_HISTORY = 1500  # tokens, from which on it is worth a thought
_LONG_PROMPT = 2000
_MANY_TOOLS = 1000
_SHORT_ANSWER = 300
_FRACTION = 0.6  # of the cost: a cheaper model has to save that much to be worth a change


@dataclass(frozen=True, slots=True)
class Ran:
    """A run that is over."""

    state: RunState
    history: Sequence[Message]
    model: ResilientModel
    models: Mapping[str, ResilientModel]
    tools: Registry


def suggest(ran: Ran) -> tuple[Suggestion, ...]:
    return (*_history(ran), *_cheaper_model(ran), *_caching(ran), *_tools(ran), *_end(ran))


def _history(ran: Ran) -> Iterator[Suggestion]:
    tokens = estimated_message_tokens(ran.history) * ran.state.iterations
    if tokens >= _LONG_HISTORY and tokens * 2 > ran.state.usage.input_tokens:
        share = min(tokens / ran.state.usage.input_tokens, 1.0) if ran.state.usage.input_tokens else 1.0
        yield Suggestion(
            "history-too-long",
            f"About {share:.0%} of what the model read was the session's history. Begin a new session for a new "
            "subject, or lower HISTORY_MAX_TOKENS.",
        )


def _cheaper_model(ran: Ran) -> Iterator[Suggestion]:
    """For runs that a smaller model would most likely have managed: one or two calls and a short answer."""
    state = ran.state
    if state.cost_usd <= 0 or state.iterations > 2 or state.usage.output_tokens > _SHORT_ANSWER:
        return
    costs = {ref: priced.price.cost_usd(state.usage) for ref, priced in ran.models.items()}
    ref = min(costs, key=lambda ref: costs[ref])
    if costs[ref] < _FRACTION * state.cost_usd:
        yield Suggestion(
            "cheaper-model",
            f"The answer was short. {ref} would have cost ${costs[ref]:.6f} instead of ${state.cost_usd:.6f}: "
            f'ask with "model": "{ref}".',
        )


def _caching(ran: Ran) -> Iterator[Suggestion]:
    usage = ran.state.usage
    uncached = usage.input_tokens - usage.cache_read_tokens
    if ran.state.cost_usd <= 0 or uncached < _LONG_PROMPT:
        return
    if usage.cache_write_tokens and not usage.cache_read_tokens:
        yield Suggestion(
            "cache-not-read",
            f"{usage.cache_write_tokens} tokens were written to the provider's cache and none were read from it. "
            "Ask again in the same session within five minutes, or keep the beginning of the prompt the same.",
        )
    elif not usage.cache_write_tokens and not usage.cache_read_tokens:
        yield Suggestion(
            "cache-off",
            f"None of {usage.input_tokens} tokens came from the provider's cache. It could be on: choose a model "
            "whose provider caches prompts, and keep their beginning the same.",
        )


def _tools(ran: Ran) -> Iterator[Suggestion]:
    if ran.state.tool_calls or not ran.tools:
        return
    size = sum(len(tool.description) + len(str(tool.parameters)) for tool in ran.tools.values())
    if size // BYTES_A_TOKEN >= _MANY_TOOLS:
        yield Suggestion(
            "tools-not-used",
            f"The descriptions of {len(ran.tools)} tools took about {size // BYTES_A_TOKEN} tokens a model call and "
            'none was called. Name those that may be needed in "tools".',
        )


def _end(ran: Ran) -> Iterator[Suggestion]:
    calls = [(call.name, str(call.arguments)) for call in ran.state.tool_calls]
    if len(set(calls)) < len(calls):
        yield Suggestion("same-call-again", "A tool was called twice with the same arguments: say what to do with it.")
    if ran.state.finish_reason != "stop":
        yield Suggestion(
            "ended-by-limit",
            f"A limit ended the run ({ran.state.finish_reason}). Ask for less at once, or raise the limit.",
        )
