"""The caller of a kept run as a principal again, in whatever process works on it."""

from app.access.identity import Identity
from app.access.principal import Credential, Principal
from app.durable.record import Caller
from app.errors import Unauthorized


def principal_of(caller: Caller, identity: Identity) -> Principal:
    """Raises Unauthorized where the API key that the run was submitted with has been withdrawn since."""
    credential = identity.shown(caller.key, caller.user, frozenset(caller.scopes))
    if problem := credential.withdrawn():
        raise Unauthorized(problem)
    return named(caller, credential)


def named(caller: Caller, credential: Credential = Credential()) -> Principal:  # noqa: B008 - immutable
    """The caller by name, whether or not their credentials still hold."""
    return Principal(
        caller.user,
        caller.team,
        caller.tier,
        frozenset(caller.scopes),
        address=caller.address,
        peer=caller.peer,
        authenticated=caller.authenticated,
        credential=credential,
    )
