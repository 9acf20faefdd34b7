"""The key of a cached answer: a hash of all that shapes the answer, so that equal keys may have the same one."""

from collections.abc import Sequence
from functools import lru_cache
from hashlib import blake2b

import msgspec

from app import __version__
from app.agents.definition import Agent
from app.messages import Message
from app.runs.context import RunContext
from app.runs.toolset import Toolset

_FORMAT = 1
_BASES = 256
_BYTES = 24
_encode = msgspec.json.Encoder().encode


def key_of(run: RunContext) -> str:
    """Of the run's conversation as it is now. Users have different keys unless the agent's answers are public."""
    return _key(run, run.memory.conversation)


def scope_of(run: RunContext) -> str:
    """As `key_of`, without the question: nearly equal questions are looked for in one scope."""
    return _key(run, run.memory.history)


def _key(run: RunContext, conversation: Sequence[Message]) -> str:
    asked, principal = run.request, run.principal
    user: tuple[object, ...] = ()
    if not run.agent.cache.public:
        user = (principal.user, principal.authenticated, principal.address)
    hasher = _base(run.agent, run.tools, run.services.flights.cache.settings_digest).copy()
    hasher.update(
        _encode(
            (
                user,
                asked.model,
                [candidate.model.ref for candidate in run.candidates],
                run.costs.system_prompt,
                run.agent.temperature if asked.temperature is None else asked.temperature,
                asked.response_format,
                run.candidates[0].limits,
                conversation,
            )
        )
    )
    return hasher.hexdigest()


@lru_cache(_BASES)
def _base(agent: Agent, tools: Toolset, settings: bytes) -> blake2b:
    """The part that many runs have in common."""
    hasher = blake2b(settings, digest_size=_BYTES)
    hasher.update(_encode((_FORMAT, __version__, agent.name, tools.specs)))
    return hasher
