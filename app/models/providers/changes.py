"""How the requests to one model differ from the usual ones, as its server has asked for."""

from typing import Any

from msgspec import Struct


class Changes(Struct, frozen=True):
    """How the requests to one model differ from the usual ones."""

    left_out: frozenset[str] = frozenset()
    """Parameters."""
    renamed: tuple[str, str] | None = None
    """A parameter, and what it is called instead."""
    effort: str | None = None
    """`reasoning_effort` of requests with tools."""
    stream: bool | None = None
    max_output: int | None = None
    """Maximum of `max_tokens`."""
    ways: frozenset[str] = frozenset()
    """Other ways to write messages, by names that their adapter knows."""

    def apply(self, body: dict[str, Any]) -> None:
        """Change the parameters of a request, those of the messages excepted."""
        if self.effort is not None and "tools" in body:
            body["reasoning_effort"] = self.effort
        for name in self.left_out:
            body.pop(name, None)
        if self.renamed and self.renamed[0] in body:
            body[self.renamed[1]] = body.pop(self.renamed[0])

    def words(self) -> list[str]:
        """The changes for the log."""
        words = [f"without {name}" for name in sorted(self.left_out)]
        if self.renamed:
            words.append(f"{self.renamed[1]} for {self.renamed[0]}")
        if self.effort is not None:
            words.append(f"reasoning_effort {self.effort} with tools")
        if self.stream is not None:
            words.append("streamed" if self.stream else "not streamed")
        if self.max_output is not None:
            words.append(f"at most {self.max_output} tokens of output")
        return words + [way.replace("_", " ") for way in sorted(self.ways)]


NO_CHANGES = Changes()
