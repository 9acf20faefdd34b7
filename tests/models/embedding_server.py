"""A server that speaks both APIs of embeddings. Texts of like characters are near each other, however much they mean
different things, and all have a part in common, as in real models: near misses pass a threshold of 0.95."""

import json
from collections.abc import Sequence
from math import sqrt
from zlib import crc32

from tests.models.servers import Provider, Received, Reply

_DIMENSIONS = 256
_COMMON = 4.0
"""Of the part in common, in lengths of the rest."""


def embedding(text: str) -> list[float]:
    vector = [0.0] * _DIMENSIONS
    lower = f" {text.lower()} "
    for size in (1, 2, 3):
        for start in range(len(lower) - size + 1):
            vector[crc32(lower[start : start + size].encode()) % (_DIMENSIONS - 1)] += 1.0
    vector[-1] = _COMMON * sqrt(sum(value * value for value in vector))
    return [round(value, 4) for value in vector]


def embedded(request: Received) -> Reply:
    """The answer to a request of either API."""
    texts: Sequence[str] = request.body["input"]
    vectors = [embedding(text) for text in texts]
    tokens = sum(len(text.split()) for text in texts)
    if request.path.endswith("/api/embed"):
        said: object = {"model": "m", "embeddings": vectors, "prompt_eval_count": tokens}
    else:
        items = [{"object": "embedding", "index": place, "embedding": vector} for place, vector in enumerate(vectors)]
        said = {"object": "list", "data": items[::-1], "usage": {"prompt_tokens": tokens, "total_tokens": tokens}}
    return Reply([json.dumps(said).encode()])


class EmbeddingServer(Provider):
    """Embeds what it is asked, unless it was told to reply something else."""

    def reply_to(self, request: Received) -> Reply:
        return super().reply_to(request) if self.replies else embedded(request)
