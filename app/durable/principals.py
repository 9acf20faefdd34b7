"""The caller of a kept run as a principal again, in whatever process works on it."""

from app.access.identity import Identity
from app.access.principal import Principal
from app.durable.record import Caller
from app.errors import Unauthorized


def principal_of(caller: Caller, identity: Identity) -> Principal:
    """Raises Unauthorized where the API key that the run was submitted with has been withdrawn since."""
    scopes = frozenset(caller.scopes)
    credential = identity.shown(caller.key, caller.user, scopes)
    if problem := credential.withdrawn():
        raise Unauthorized(problem)
    return Principal(
        caller.user,
        caller.team,
        caller.tier,
        scopes,
        address=caller.address,
        peer=caller.peer,
        authenticated=caller.authenticated,
        credential=credential,
    )
