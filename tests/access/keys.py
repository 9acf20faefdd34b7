"""Lines of a file of API keys."""

import json
from typing import Any

from app.access.api_keys import fingerprint, new_secret

KEY, OTHER = new_secret(), new_secret()


def line(secret: str = KEY, **changes: Any) -> str:
    entry = {"sha256": fingerprint(secret), "name": "a test", "user": "ada", "scopes": ["chat"], **changes}
    return json.dumps({name: value for name, value in entry.items() if value is not None}) + "\n"
