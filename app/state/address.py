"""The address of a store: `redis://`, `rediss://` or `unix://`, with what its query says about TLS.

The same as redis-py reads them. Its own reader is not used since it comes with the whole client, 15 MB of memory.
"""

from dataclasses import dataclass
from typing import Literal
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from app.urls import check_host

_QUERY = frozenset({"db", "ssl_ca_certs", "ssl_certfile", "ssl_keyfile", "ssl_cert_reqs"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    host: str = "localhost"
    port: int = 6379
    path: str = ""  # of a socket file; then host and port do not count
    username: str = ""
    password: str = ""
    db: int = 0
    tls: bool = False
    ssl_ca_certs: str | None = None
    ssl_certfile: str | None = None
    ssl_keyfile: str | None = None
    ssl_cert_reqs: Literal["required", "none"] = "required"
    tls_strict: bool = True


def parse(url: str) -> Address:
    """Raises ValueError, whose words do not repeat the address: it may hold a password."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:  # its words repeat what may be a password
        raise ValueError(
            "has a host or a port that cannot be read; in a password `/`, `?`, `#`, `[` and `@` are percent-encoded"
        ) from None
    if parts.scheme not in ("redis", "rediss", "unix"):
        raise ValueError("is not a redis://, rediss:// or unix:// address")
    _check_place(parts, port)
    query = dict(parse_qsl(parts.query, keep_blank_values=True))
    if unknown := query.keys() - _QUERY:
        raise ValueError(f"does not take {', '.join(sorted(unknown))}; it takes {', '.join(sorted(_QUERY))}")
    reqs = query.get("ssl_cert_reqs", "required")
    if reqs not in ("required", "none"):
        raise ValueError("takes ssl_cert_reqs=required or none")
    socket_file = unquote(parts.path) if parts.scheme == "unix" else ""
    db = query.get("db") or ("" if socket_file else parts.path.strip("/"))
    if db and not db.isdecimal():
        raise ValueError("has a database that is not a number")
    return Address(
        host=parts.hostname or "localhost",
        port=port or 6379,
        path=socket_file,
        username=unquote(parts.username or ""),
        password=unquote(parts.password or ""),
        db=int(db or 0),
        tls=parts.scheme == "rediss",
        ssl_ca_certs=query.get("ssl_ca_certs"),
        ssl_certfile=query.get("ssl_certfile"),
        ssl_keyfile=query.get("ssl_keyfile"),
        ssl_cert_reqs="none" if reqs == "none" else "required",
    )


def _check_place(parts: SplitResult, port: int | None) -> None:
    """Raises ValueError for what nothing can listen at."""
    if parts.fragment:
        raise ValueError("has a `#`, which is percent-encoded in a password")
    if parts.scheme == "unix":
        if not parts.path.strip("/"):
            raise ValueError("has no path; write unix:///path/of/the/socket")
        return
    if port == 0:
        raise ValueError("has port 0, where nothing listens")
    if parts.hostname:
        check_host(parts.hostname)
