"""A secret of every format in one text, and what of them is left in what a surface shows."""

import json
import re
from collections.abc import Iterator, Sequence

from tests.redaction.planted import FORMATS, PLACEHOLDER, Planted, planted

PIECE = 8
"""Characters of a secret of which none may leave."""

CARRIED: tuple[Planted, ...] = tuple(planted(seed=7))


def pieces_of(text: str) -> set[str]:
    """All that is PIECE characters long."""
    return {text[at : at + PIECE] for at in range(len(text) - PIECE + 1)}


_AROUND = set().union(
    *(pieces_of(f"\n {one.before} {one.after}\n") for one in CARRIED), *(pieces_of(form) for form in FORMATS.values())
)
_OF_ANY_ID = re.compile("-4[0-9a-f]{3}-|4[0-9a-f]{3}-[89ab]").search  # in the middle of a UUID, such as one of ours
PIECES = {piece for one in CARRIED for piece in pieces_of(one.secret) - _AROUND if not _OF_ANY_ID(piece)}
"""Of secrets, without those that the words around one have as well, that all of a kind begin with, or that any id may
have."""

_SECRETS = "\0".join(one.secret for one in CARRIED)
_UUID = "[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_IDS = re.compile(
    rf"(?<![0-9A-Za-z])(?:{_UUID}|[0-9a-f]{{64}}|[0-9a-f]{{32}}|[0-9a-f]{{16}}|[0-9]{{13,}})(?![0-9A-Za-z])"
)


def _without_ids(text: str) -> str:
    """Ids, digests and times of the service are random: among thousands of them, one has eight characters in a row as
    some secret has them by chance. Those that are part of a secret stay."""
    return _IDS.sub(lambda found: found[0] if found[0] in _SECRETS else "\0", text)


def leaks(shown: str) -> list[str]:
    """Pieces of secrets in what a surface shows: as it is, and as the strings of its JSON."""
    read = shown
    for _ in range(3):  # JSON in JSON in JSON
        read = read.replace("\\n", "\n").replace('\\"', '"').replace("\\\\", "\\")
    texts = {shown, read, shown.encode().decode("unicode_escape", "ignore") if "\\u" in shown else shown}
    return sorted(PIECES & set().union(*(pieces_of(PLACEHOLDER.sub("\0", _without_ids(text))) for text in texts)))


def whole() -> str:
    """All of them, a line or more each."""
    return "".join(f"{one.text}\n" for one in CARRIED)


def each_character() -> list[str]:
    return list(whole())


def split_at(place: int, secrets: Sequence[Planted] = CARRIED) -> list[str]:
    """All secrets that are longer than that, each of which comes in two pieces: so many characters, and the rest."""
    pieces = [""]
    for one in secrets:
        if len(one.secret) > place:
            pieces[-1] += one.before + one.secret[:place]
            pieces.append(f"{one.secret[place:]}{one.after}\n")
    return pieces


def splits(secrets: Sequence[Planted] = CARRIED) -> Iterator[list[str]]:
    """Every way to cut each of the secrets in two."""
    for place in range(1, max(len(one.secret) for one in secrets)):
        yield split_at(place, secrets)


def values() -> dict[str, str]:
    """Each as a value of its own, as tools have them for arguments and results."""
    return {f"value {number}": one.text for number, one in enumerate(CARRIED)}


def as_json() -> str:
    return json.dumps(values(), ensure_ascii=False)
