"""`http_get`: a page of the internet, as text. It reaches public addresses and the operator's hosts only."""

import asyncio
from functools import cached_property
from typing import Annotated

import aiohttp
from pydantic import Field
from yarl import URL

from app.egress.egress import MAX_URL_CHARS, Egress
from app.egress.reasons import reason_of
from app.settings import Settings
from app.tls import client_context
from app.tools.built_in.http_text import bounded_body, text_of
from app.tools.context import ToolContext
from app.tools.tool import Tool, ToolError, make_tool
from app.urls import HostSet, host_of

MAX_REDIRECTS = 5
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_PUBLIC_PORT = 443
_ACCEPT = "text/*, application/json, application/xml;q=0.9, */*;q=0.1"
_UNSENT = {
    "address_refused": "its host has no public address",
    "certificate": "the server's certificate is not valid",
    "dns": "there is no such host",
    "timeout": "there was no answer in time",
    "unreachable": "the server cannot be reached",
}


class HttpGet:
    """Nothing is held, and no certificate read, before the first call."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._own = HostSet(settings.http_get_hosts)

    def tool(self) -> Tool:
        async def http_get(
            url: Annotated[str, Field(description="An https:// address", max_length=MAX_URL_CHARS)],
            context: ToolContext,
        ) -> str:
            """Get the text of a web page or document by its https:// address. Redirects are followed. Content that is
            not text is refused."""
            try:
                async with asyncio.timeout(self._settings.http_get_seconds):
                    return await self._get(url, context)
            except TimeoutError:
                raise ToolError(f"{_UNSENT['timeout']}.".capitalize()) from None

        seconds = self._settings.http_get_seconds + 1  # its own deadline comes first
        # A request tells its server what is in its address: content that a run has read may want just that.
        return make_tool(http_get, timeout_seconds=seconds, max_output_chars=20_000, effect="idempotent")

    async def aclose(self) -> None:
        if "_egress" in vars(self):
            await self._egress.aclose()

    @cached_property
    def _egress(self) -> Egress:
        settings = self._settings
        tls = client_context(settings.tls_strict)
        return Egress(settings.http_get_hosts, tls, seconds=settings.http_get_seconds)

    async def _get(self, url: str, context: ToolContext) -> str:
        """Raises ToolError, TimeoutError."""
        for _ in range(MAX_REDIRECTS + 1):
            checked = self._checked(url)
            try:
                headers = {"Accept": _ACCEPT, **context.trace_headers(str(checked))}
                async with self._egress.request("GET", checked, None, headers) as answer:
                    location = answer.headers.get("Location")
                    if answer.status not in _REDIRECTS or location is None:
                        return await self._read(answer, checked, context)
            except aiohttp.ClientError as error:
                raise ToolError(
                    f"Nothing came of it: {_UNSENT.get(reason_of(error), 'the answer broke off')}."
                ) from None
            url = _joined(checked, location)
        raise ToolError(f"There are more than {MAX_REDIRECTS} redirects.")

    def _checked(self, url: str) -> URL:
        try:
            checked = self._egress.check_url(url)
        except ValueError as error:
            raise ToolError(f"The address {error}.") from None
        if checked.port != _PUBLIC_PORT and host_of(str(checked)) not in self._own:
            raise ToolError(f"The address names a port other than {_PUBLIC_PORT}.")
        return checked.with_fragment(None)

    async def _read(self, answer: aiohttp.ClientResponse, url: URL, context: ToolContext) -> str:
        if answer.status != 200:
            raise ToolError(f"The server answered with the status {answer.status}.")
        try:
            body, cut = await bounded_body(answer, self._settings.http_get_bytes)
            text = text_of(body, answer.headers.get("Content-Type", ""))
        except ValueError as error:
            raise ToolError(f"The content {error}.") from None
        context.sources.append(str(url))
        return f"{text}\n[cut: the first {self._settings.http_get_bytes} bytes]" if cut else text


def _joined(url: URL, location: str) -> str:
    try:
        return str(url.join(URL(location)))
    except ValueError:
        raise ToolError("The server redirects to an address that cannot be read.") from None
