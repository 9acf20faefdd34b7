"""Rules of redaction: what is taken out of a text, as data in YAML files. See docs/safety.md."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

from app.errors import ConfigurationError

OWN = Path(__file__).parent / "rules"

Group = Literal["secrets", "cards", "ibans", "national-ids", "emails", "phones"]
Example = str | tuple[str, ...]
"""A text; one of several parts is what they are joined to, so that no scanner of files takes it for a live secret."""
Word = Annotated[str, Meta(pattern="^[a-z0-9][a-z0-9-]{1,62}$")]


class Examples(Struct, frozen=True, forbid_unknown_fields=True):
    positive: Annotated[tuple[Example, ...], Meta(min_length=2)]
    """Texts with one such secret each."""
    negative: Annotated[tuple[Example, ...], Meta(min_length=2)]
    """Texts that look like it and have none."""


class Rule(Struct, frozen=True, forbid_unknown_fields=True):
    """One kind of secret: `pattern` finds it, and it counts if `checksum` and `near` agree."""

    id: Word
    kind: Word
    """What stands in the placeholder, and the label of the metric. Several rules may share one."""
    group: Group
    """Which word of REDACT turns it on."""
    pattern: Annotated[str, Meta(min_length=4)]
    """Regular expression that RE2 and Hyperscan both read, over bytes of UTF-8. With a capturing group, that is what is
    taken out, else all of it is."""
    source: Annotated[str, Meta(pattern="^https?://")]
    """Where its provider, a standard, or a scanner that is maintained says what it looks like."""
    examples: Examples
    checksum: Word | None = None
    """Name of a check in `checksums.py` that what is found has to pass."""
    near: tuple[str, ...] = ()
    """Words (lower case) of which one has to stand in the 64 bytes before it."""
    opening: str | None = None
    """Pattern of the beginning of one that may be longer than 256 characters, if `pattern` does not match that."""
    unclosed: str | None = None
    """Pattern of what has come so far of one with several words, up to the end of the text: all from there on, or from
    its capturing group on, waits for the rest."""
    until: str | None = None
    """Pattern of where one ends that begins as `pattern` says, however long it is; it ends with the text, if that does
    not come."""
    verified: bool = True
    """Whether the source was seen to say so. One that was not is a guess, and takes more lengths than it needs. What
    only knows the name of a variable (`checksum: assigned`) says nothing of a format, and counts as seen."""
    general: bool = False
    """Told by the words around it, whoever has issued it: a rule that knows the issuer names what both find."""


def joined(example: Example) -> str:
    return example if isinstance(example, str) else "".join(example)


def load(folders: Iterable[Path]) -> tuple[Rule, ...]:
    """All rules in the `*.yaml` files of these folders. Raises ConfigurationError for those that cannot be read."""
    rules: dict[str, Rule] = {}
    for folder in folders:
        for rule in _of_folder(folder):
            if rules.setdefault(rule.id, rule) is not rule:
                raise ConfigurationError(f"The redaction rule {rule.id!r} in {folder} is there twice. Rename one.")
    return tuple(rules.values())


def _of_folder(folder: Path) -> Iterator[Rule]:
    try:
        files = sorted(path for path in folder.iterdir() if path.suffix in (".yaml", ".yml"))
        for path in files:
            yield from _of_file(path, path.read_bytes())
    except OSError as error:
        raise ConfigurationError(
            f"REDACTION_RULES_DIR: the folder {folder} cannot be read ({error.strerror}). Correct it, or unset it."
        ) from None


def _of_file(path: Path, content: bytes) -> tuple[Rule, ...]:
    try:
        return msgspec.yaml.decode(content, type=tuple[Rule, ...])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ConfigurationError(
            f"The redaction rules in {path} cannot be read: {' '.join(str(error).split())}. Correct the file."
        ) from None
