"""The text of an answer as it comes, with the reasoning between tags told beside it."""

from msgspec import Struct

from app.messages import size_of_text
from app.models.protocol import Beside, OnBeside, OnText
from app.models.providers.think_tags import Splitter


class TaggedText(Struct):
    """Without a `splitter` tags are part of the text. With `together`, text waits for `tell_waiting`, or for what is
    told beside it."""

    _on_text: OnText
    _on_beside: OnBeside
    _splitter: Splitter | None
    together: bool = False
    opened: bool | None = None
    """Whether the opening tag of reasoning was in the prompt; None: this answer does not tell."""
    _late: list[str] | None = None
    _pieces: list[str] = []
    _thoughts: list[str] = []
    _waiting: list[str] = []
    _on_all: OnText | None = None
    reasoned: bool = False
    """Whether some of what came was reasoning."""

    def __post_init__(self) -> None:
        if self.together:
            self._on_all, self._on_text = self._on_text, self._waiting.append

    def tell_waiting(self) -> None:
        """Tell the text that has come since the last time, if it waits: the server's next bytes are yet to come."""
        if self._waiting and self._on_all is not None:
            text = "".join(self._waiting)
            self._waiting.clear()
            self._on_all(text)

    def tell_beside(self, kind: Beside, text: str) -> None:
        """Tell what is no text, after the text before it."""
        self.tell_waiting()
        self._on_beside(kind, text)

    @property
    def pieces(self) -> int:
        """How many were told."""
        return len(self._pieces) + len(self._thoughts)

    @property
    def bytes(self) -> int:
        """The size of the text that was told."""
        return sum(map(size_of_text, self._pieces))

    @property
    def thought_bytes(self) -> int:
        return sum(map(size_of_text, self._thoughts))

    @property
    def text(self) -> str | None:
        """The answer, if a part of what was told as such has turned out to be reasoning."""
        return None if self._late is None else "".join(self._late)

    def say(self, text: str) -> str:
        """Tell a piece. Returns what of it is known to be answer."""
        splitter = self._splitter
        if splitter is not None:
            if not splitter.plain or "<" in text or "[" in text or "◁" in text:
                thought, answer = splitter.feed(text)
                if not (thought or answer):
                    self.tell_beside("reasoning", "")
                return self._tell(thought, answer)
            splitter.previous = text
        self._pieces.append(text)
        self._on_text(text)
        return text

    def think(self, text: str) -> None:
        """Tell reasoning that the server tells apart itself: tags after it are the answer's own."""
        self.reasoned = True
        self._thoughts.append(text)
        self.tell_beside("reasoning", text)

    def is_held(self) -> bool:
        """Whether some of the text is not told yet."""
        return self._splitter is not None and not self._splitter.plain

    def end(self, *, cut: bool = False) -> str:
        """Tell what was held back since a tag could have begun with it, and return it."""
        splitter = self._splitter
        if splitter is None:
            self.tell_waiting()
            return ""
        rest = "" if splitter.plain else self._tell(*splitter.end(cut=cut))
        self.opened = splitter.unopened if self._pieces else None
        self._splitter = None
        self.tell_waiting()
        return rest

    def _tell(self, thought: str, text: str) -> str:
        if thought:
            self.think(thought)
        if self._splitter is not None and self._splitter.late and self._late is None:
            self._begin_anew()
        if text:
            self._pieces.append(text)
            self._on_text(text)
        return text

    def _begin_anew(self) -> None:
        """All that was told as answer was reasoning."""
        late: list[str] = []
        tell = self._on_text
        self._late = late
        self.reasoned = True

        def tell_and_keep(text: str) -> None:
            late.append(text)
            tell(text)

        self._on_text = tell_and_keep
