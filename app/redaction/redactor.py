"""Takes secrets and personal data out of texts and values. Built once a process; what REDACT does not name stays."""

from typing import Any, Protocol, TypeVar

V = TypeVar("V")

PLACEHOLDER = "[redacted: {kind}]"
"""What stands in the place of what was taken out."""


SYSTEM_PROMPT = "system-prompt"
"""The kind of a part of an agent's prompt, which no rule names."""


class TextFilter(Protocol):
    """One for each text that comes in pieces; synchronous. Owns what it holds back. Raises GuardUnavailable where that
    cannot be looked at."""

    redacted: bool
    """Something was taken out."""

    def feed(self, text: str) -> str:
        """What can leave now, of this and what came before; often empty."""

    def end(self, *, cut: bool = False) -> str:
        """The rest; of a text that was `cut`, without what may be the beginning of a secret."""


class Redactor(Protocol):
    """All but `guarding` raise GuardUnavailable where a text cannot be looked at: it must not leave then."""

    def guarding(self, prompt: str) -> "Redactor":
        """The same, which takes out this system prompt as well."""

    def text(self, text: str) -> str:
        """A whole text, without what is found in it: itself if there is nothing, as almost always."""

    def value(self, value: Any) -> Any:
        """A JSON value, likewise, in its strings and its keys."""

    def filter(self, before: str = "") -> TextFilter:
        """For a text that comes in pieces, after another one that has left."""

    def whole(self, before: str = "") -> TextFilter:
        """The same for one that nobody reads before its end: it holds everything back, and costs less."""

    def holds(self, text: str) -> bool:
        """Whether something is to be taken out of a text. Nothing is counted."""


def cleaned(redactor: Redactor | None, value: V) -> V:
    """A text, a JSON value or None without secrets; the value itself where nothing is redacted. Raises
    GuardUnavailable."""
    return value if redactor is None else redactor.value(value)
