"""Canonical JSON and its hash: what is equal has one form, of ASCII alone."""

import json
from hashlib import sha256
from typing import Any

_encode = json.JSONEncoder(sort_keys=True, separators=(",", ":")).encode


def canonical(value: Any) -> bytes:
    """JSON with sorted keys, no spaces, and `\\u` escapes in place of all that is not ASCII."""
    return _encode(value).encode()


def digest(data: bytes) -> str:
    return sha256(data).hexdigest()


def fingerprint(value: Any) -> str:
    """SHA-256 of the canonical JSON of a value, such as the arguments of a call."""
    return digest(canonical(value))
