"""The caller of a request, and checks of what they say."""

from fastapi import Request
from msgspec.structs import replace

from app.api.authentication import PRINCIPAL
from app.errors import Forbidden, InvalidRequest
from app.limits.names import anonymous, is_name_of
from app.limits.principal import Principal


def principal_of(request: Request, user_id: str | None = None) -> Principal:
    """The request's caller. `user_id`, the name that the request gives, counts where nobody is authenticated.

    Raises Forbidden if an authenticated caller gives another name than their own.
    """
    principal: Principal = request.scope[PRINCIPAL]
    if user_id is None:
        return principal
    if not principal.authenticated:
        return replace(principal, user=anonymous(user_id))
    if not is_name_of(principal.user, user_id):
        raise Forbidden("The user_id is not that of the credentials. It can be left out.")
    return principal


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
