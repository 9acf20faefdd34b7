"""The header Idempotency-Key (draft-ietf-httpapi-idempotency-key-header): what makes a request sent again the same."""

import re
from collections.abc import Iterable
from hashlib import sha256

from app.api.invalid import invalid
from app.durable.keeping import NO_KEY, IdempotencyKey

HEADER = "Idempotency-Key"
REPLAYED = "Idempotency-Replayed"
MAX_CHARS = 255

_VISIBLE = re.compile(rb"[\x21-\x7e]{1,%d}" % MAX_CHARS).fullmatch


def idempotency_key(headers: Iterable[tuple[bytes, bytes]], route: str, body: bytes) -> IdempotencyKey:
    """The request's key with the fingerprint of its `route` and body; NO_KEY without it. Raises InvalidRequest."""
    given = [value for name, value in headers if name == b"idempotency-key"]
    if not given:
        return NO_KEY
    if len(given) > 1 or not _VISIBLE(given[0]):
        raise invalid([{"loc": (HEADER,), "msg": f"Give it once, with 1 to {MAX_CHARS} visible ASCII characters"}])
    return IdempotencyKey(sha256(given[0]).hexdigest(), sha256(b"%b\0%b" % (route.encode(), body)).hexdigest())


DOCUMENTED = {
    "name": HEADER,
    "in": "header",
    "required": False,
    "description": "A request that is sent again with the same key and body within 24 hours makes no second run: the "
    f"answer is that of the first, with `{REPLAYED}: true`. Counts for runs that are kept: in the background, with a "
    "stream that can be resumed, or of an agent whose tool calls may have to wait for a person.",
    "schema": {"type": "string", "minLength": 1, "maxLength": MAX_CHARS, "pattern": "^[\\x21-\\x7e]+$"},
}
