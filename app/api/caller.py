"""Who calls, and whether what they say can be used."""

from app.errors import InvalidRequest
from app.limits.principal import Principal

ANONYMOUS = "anonymous"


def principal_of(user_id: str | None) -> Principal:
    """The caller by their own word: nobody is authenticated yet (`AUTH=none`)."""
    return Principal(user_id or ANONYMOUS)


def check_text(field: str, text: str, max_chars: int) -> str:
    """`text` as it is. Raises InvalidRequest if it is blank, too long or holds a NUL."""
    if len(text) > max_chars:
        problem = f"has {len(text)} characters; at most {max_chars} are taken"
    elif not text.strip():
        problem = "is blank"
    elif "\0" in text:
        problem = "holds a NUL character"
    else:
        return text
    raise InvalidRequest(f"{field}: {problem}", [{"field": field, "problem": problem}])
