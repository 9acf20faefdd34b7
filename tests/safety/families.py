"""Which texts resemble each other: variants of one attack must not be in both halves of a corpus."""

import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from zlib import crc32

_WORDS = 5
_KEPT = 24  # of a text's runs of words, those with the smallest hashes
_COMMON = 6  # of which two texts of a family share as many


def families(texts: Sequence[str]) -> list[int]:
    """For each text a number that is its family's, and the same in every run."""
    parent = list(range(len(texts)))

    def root(index: int) -> int:
        while parent[index] != index:
            parent[index] = parent[parent[index]]
            index = parent[index]
        return index

    seen: dict[int, list[int]] = defaultdict(list)
    for index, text in enumerate(texts):
        sketch = _sketch(text)
        shared = Counter(other for piece in sketch for other in seen[piece])
        for other, count in shared.items():
            if count >= min(_COMMON, len(sketch)):
                parent[root(index)] = root(other)
        for piece in sketch:
            seen[piece].append(index)
    return [crc32(texts[root(index)].encode()) >> 3 for index in range(len(texts))]


def _sketch(text: str) -> list[int]:
    words = re.findall(r"\w+", text.lower())
    runs = {" ".join(words[at : at + _WORDS]) for at in range(max(1, len(words) - _WORDS + 1))}
    return sorted(crc32(run.encode()) for run in runs)[:_KEPT]
