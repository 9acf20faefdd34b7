"""Names of users and teams, by which sessions, limits, budgets and usage are kept."""

import re
from base64 import urlsafe_b64encode
from hashlib import sha256
from typing import Any

_HASHED = "sub-"
_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}").fullmatch


def name_of(claim: Any) -> str:
    """A user or team as the service names them: the claim itself where it is 1 to 64 of [A-Za-z0-9_-].

    Any other claim becomes `sub-` and its SHA-256 in base64url, as does one that begins with `sub-`: two claims never
    share a name. Raises ValueError for what is no text or empty.
    """
    if not isinstance(claim, str) or not claim:
        raise ValueError("a name is text")
    if _NAME(claim) and not claim.startswith(_HASHED):
        return claim
    return _HASHED + urlsafe_b64encode(sha256(claim.encode("utf-8", "surrogatepass")).digest()).decode().rstrip("=")


def name_meant(text: str) -> str:
    """The name of a user whom an administrator means: what they are called, or the name that it became."""
    return text if _NAME(text) else name_of(text)
