"""Sends one webhook: signed, once, and with bounds to what the receiver may do in return."""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from time import monotonic, time

import aiohttp

from app.durable.webhooks.attempt import Attempt, Result, now
from app.durable.webhooks.message import Message, body_of
from app.durable.webhooks.secrets import Secrets
from app.egress.egress import Egress
from app.egress.reasons import reason_of
from app.models.providers.retry_after import retry_after_seconds

SECONDS = 15.0
"""Longest time of an attempt, from the look-up of the name to the head of the answer."""

_MAX_BODY_BYTES = 64 * 1024
_BODY_SECONDS = 1.0
_GONE = 410


class Sender:
    def __init__(self, egress: Egress, secrets: Secrets) -> None:
        self._egress = egress
        self._secrets = secrets

    async def send(self, run_id: str, message: Message, ended_at: float) -> Result:
        """Whatever a receiver and the network do is a result."""
        body, timestamp = body_of(message, ended_at), int(time())
        signature = self._secrets.sign(message.secret, run_id, timestamp, body)
        if signature is None:
            return Result(Attempt(now(), None, "no_secret", 0.0))
        headers = {
            "Content-Type": "application/json",
            "webhook-id": run_id,
            "webhook-timestamp": str(timestamp),
            "webhook-signature": signature,
        }
        return await self._post(message.url, body, headers)

    async def _post(self, url: str, body: bytes, headers: Mapping[str, str]) -> Result:
        at, began = now(), monotonic()
        status, reason, asked = None, "", None
        try:
            checked = self._egress.check_url(url)
        except ValueError:  # the operator's hosts are others now
            return Result(Attempt(at, None, "address_refused", 0.0))
        try:
            async with self._egress.request("POST", checked, body, headers) as response:
                status, reason, asked = (
                    response.status,
                    _problem(response.status),
                    retry_after_seconds(response.headers),
                )
                latency = monotonic() - began
                await _drain(response)
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            if status is None:  # a receiver that has answered has, whatever becomes of its body
                reason, latency = reason_of(error), monotonic() - began
        return Result(Attempt(at, status, reason, round(latency * 1000, 1)), asked, gone=status == _GONE)


def _problem(status: int) -> str:
    if 200 <= status < 300:
        return ""
    if status == _GONE:
        return "gone"
    return "redirect" if 300 <= status < 400 else "status"


async def _drain(response: aiohttp.ClientResponse) -> None:
    """Read what nobody wants to know, to use the connection again; a body that is large or slow ends it."""
    left = _MAX_BODY_BYTES
    with suppress(TimeoutError):
        async with asyncio.timeout(_BODY_SECONDS):
            while left > 0 and (piece := await response.content.read(left)):
                left -= len(piece)
