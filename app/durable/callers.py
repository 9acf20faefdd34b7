"""The caller of a run that is kept: whose it is, and what of them the record has."""

from app.access.principal import Principal
from app.durable.record import Caller
from app.limits.subject import subject_of


def owner_of(principal: Principal) -> str:
    """Whose runs these are: a user's, or those of the anonymous callers at an address, whatever names they give."""
    return subject_of(principal)


def kept_caller(principal: Principal) -> Caller:
    return Caller(
        user=principal.user,
        team=principal.team,
        tier=principal.tier,
        scopes=tuple(sorted(principal.scopes)),
        address=principal.address,
        peer=principal.peer,
        authenticated=principal.authenticated,
        key=principal.credential.fingerprint,
    )
