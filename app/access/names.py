"""Names of users, by which sessions, limits, budgets and usage are kept.

Who is called `ada` by an API key, by a token and by nobody but themselves are three users: `ada`, `jwt:ada` and
`anonymous:ada`. The colon is in no name, so no two of them can be made to meet.
"""

import re
from base64 import urlsafe_b64encode
from hashlib import sha256
from typing import Any

ANONYMOUS = "anonymous"
"""The name of those who give none."""

_JWT, _ANONYMOUS = "jwt:", "anonymous:"
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


def subject(sub: Any) -> str:
    """The user of a token. Raises ValueError for what cannot name one."""
    return _JWT + name_of(sub)


def anonymous(user_id: str = ANONYMOUS) -> str:
    """The user of a request without credentials."""
    return _ANONYMOUS + name_of(user_id)


def own_name(user: str) -> str:
    """A user's name without what it was given by."""
    return user.rpartition(":")[2]


def is_name_of(user: str, user_id: str) -> bool:
    """Whether a request may call the user so."""
    return user_id in (user, own_name(user)) or (user_id != "" and name_of(user_id) == own_name(user))


def users_called(name: str) -> list[str]:
    """Every user whom an administrator can mean: those of that name, or the one where the name says whose it is."""
    for prefix in (_JWT, _ANONYMOUS):
        if name.startswith(prefix) and len(name) > len(prefix):
            return [prefix + name_meant(name.removeprefix(prefix))]
    kept = name_meant(name)
    return [kept, _JWT + kept, _ANONYMOUS + kept]


def name_meant(text: str) -> str:
    """The name that somebody means who may give it as it was or as it is kept."""
    return text if _NAME(text) else name_of(text)
