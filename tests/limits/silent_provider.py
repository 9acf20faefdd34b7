"""A provider with Anthropic's API that never answers what has the word `silence` in it, and anything else at once."""

import random

import msgspec

from tests.limits.priced_provider import answer_to
from tests.models.servers import NO_ANSWER, Received, Reply
from tests.upstream import Upstream


class SilentProvider(Upstream):
    def reply_to(self, request: Received) -> Reply:
        body = b"" if request.body is None else msgspec.json.encode(request.body)
        if b"silence" in body:
            return NO_ANSWER
        return Reply([answer_to(body, random.Random(1)) if body else b"{}"])
