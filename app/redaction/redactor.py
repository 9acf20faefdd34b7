"""Takes secrets and personal data out of texts and values. Built once a process; what REDACT does not name stays."""

from typing import Any, Protocol

PLACEHOLDER = "[redacted: {kind}]"
"""What stands in the place of what was taken out."""


class TextFilter(Protocol):
    """One for each text that comes in pieces; synchronous. Owns what it holds back."""

    def feed(self, text: str) -> str:
        """What can leave now, of this and what came before; often empty."""

    def end(self) -> str:
        """The rest."""


class Redactor(Protocol):
    def text(self, text: str) -> str:
        """A whole text, without what is found in it: itself if there is nothing, as almost always."""

    def value(self, value: Any) -> Any:
        """A JSON value, likewise, in its strings and its keys."""

    def filter(self) -> TextFilter:
        """For a text that comes in pieces."""
