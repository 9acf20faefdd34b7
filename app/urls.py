"""Addresses in settings, checked before anything starts. No message repeats an address: it may hold a password."""

import ipaddress
import re
import socket
from collections.abc import Sequence
from urllib.parse import SplitResult, urlsplit
from urllib.request import getproxies, proxy_bypass

_HOST = re.compile(r"[a-z0-9_-]+(\.[a-z0-9_-]+)*\.?", re.IGNORECASE).fullmatch
_AFTER_BRACKET = re.compile(r"\][^:]").search
_MAX_HOST_CHARS = 253


def base_url(url: str) -> str:
    """The address that paths are appended to, without a slash at its end. Raises ValueError."""
    checked = http_url(url)
    if "?" in checked or "#" in checked:
        raise ValueError("has a query (`?`) or a fragment (`#`), but paths are appended to it")
    return checked.rstrip("/")


def http_url(url: str, *, password: bool = False) -> str:
    """The http:// or https:// address without white space around it; with `password` it may hold a name and password.

    Raises ValueError for one that no request can be sent to.
    """
    url = url.strip()
    parts = _split(url)
    scheme = parts.scheme  # in lower case
    if scheme not in ("http", "https") or not url.lower().startswith(f"{scheme}://"):
        raise ValueError("is not an http:// or https:// address")
    if "@" in parts.netloc and not password:
        raise ValueError("contains a user name or a password, which are not sent to this address; leave them out")
    check_host(parts.hostname or "")
    return scheme + url[len(scheme) :]


def _split(url: str) -> SplitResult:
    if not url.isprintable() or " " in url or "\\" in url:
        raise ValueError("contains white space, a backslash or a character that cannot be printed")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:  # brackets, a port that is none; its words repeat the address
        raise ValueError("has a host or a port that cannot be read") from None
    if port == 0:
        raise ValueError("has port 0, where nothing listens")
    if _AFTER_BRACKET(parts.netloc):
        raise ValueError("has a host or a port that cannot be read")
    return parts


def check_host(host: str) -> None:
    """Raises ValueError for what is neither a name nor an IP address."""
    if ":" in host:
        try:
            ipaddress.IPv6Address(host)
        except ValueError:
            raise ValueError("has an IPv6 address that cannot be read") from None
        return
    try:
        ascii_host = host.encode("idna").decode()
    except UnicodeError:  # an empty label, one of more than 63 characters
        ascii_host = ""
    if len(ascii_host) > _MAX_HOST_CHARS or not _HOST(ascii_host):
        raise ValueError("does not name a host")
    if ascii_host.rstrip(".").rpartition(".")[2].isdecimal():
        try:
            socket.inet_aton(ascii_host)
        except OSError:
            raise ValueError("has an IPv4 address that cannot be read") from None


def host_of(url: str) -> str:
    """The host in lower case, without a dot at its end; empty if there is none."""
    try:
        return (urlsplit(url).hostname or "").rstrip(".")
    except ValueError:
        return ""


class HostSet:
    """Hosts as settings name them: these, and all below those that begin with a dot."""

    def __init__(self, hosts: Sequence[str]) -> None:
        self._hosts = frozenset(host.strip("[]") for host in hosts if host and not host.startswith("."))
        self._domains = tuple(host for host in hosts if host.startswith("."))

    def __contains__(self, host: str) -> bool:
        """`host` as `host_of` returns it."""
        return host in self._hosts or (bool(self._domains) and host.endswith(self._domains))


def check_proxy(url: str, *, any_http: bool = False) -> None:
    """Raises ValueError, which names the variable, if the proxy that requests to `url` go through cannot be used.

    `any_http`: by a client that also takes an https:// proxy, and one without a scheme.
    """
    parts = urlsplit(url)
    proxy = getproxies().get(parts.scheme)
    if proxy is None or proxy_bypass(parts.hostname or ""):
        return
    try:
        if any_http and "://" not in proxy:
            proxy = f"http://{proxy}"
        if not http_url(proxy, password=True).startswith("http://") and not any_http:
            raise ValueError("must begin with http://, which carries https as well")
    except ValueError as error:
        raise ValueError(f"{parts.scheme.upper()}_PROXY: {error}") from None
