"""URLs of the servers that a tool may ask."""

from collections.abc import Sequence

from app.urls import HostSet, host_of, http_url

MAX_CHARS = 2_048


class Url:
    """URLs of these hosts; `.example.org` stands for all below it.

    Looks at the name only. Where it leads is for whoever runs the name to say, so give no names of strangers.
    """

    def __init__(self, *hosts: str, schemes: Sequence[str] = ("https",)) -> None:
        """Raises TypeError without hosts."""
        if not hosts:
            raise TypeError("Url takes hosts, at least one")
        self.hosts = tuple(host.lower() for host in hosts)
        self.schemes = tuple(schemes)
        self._set = HostSet(self.hosts)

    def check(self, value: object) -> str | None:
        url = str(value)
        if len(url) > MAX_CHARS:
            return f"has more than {MAX_CHARS} characters"
        if url != url.strip():
            return "has white space around it"
        try:
            checked = http_url(url)
        except ValueError as error:
            return str(error)
        if checked.partition(":")[0] not in self.schemes:
            return f"does not begin with {' or '.join(f'{scheme}://' for scheme in self.schemes)}"
        if host_of(checked) not in self._set:
            return f"is not at {' or '.join(self.hosts)}"
        return None
