"""Anthropic's Message Batches: half the price, within a day.

https://platform.claude.com/docs/en/build-with-claude/batch-processing
"""

from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import anthropic
import msgspec
from anthropic.types.messages import MessageBatch
from msgspec import Raw, Struct

from app.errors import AppError
from app.models.batching import Answered, Outcome, Submitted
from app.models.protocol import ModelRequest
from app.models.providers.anthropic.answer import AnthropicAnswer
from app.models.providers.anthropic.transport import translated
from app.models.providers.failures import from_answer, unavailable

_PATH = "/v1/messages/batches"
_PAGE = 100
_JSON = {"Content-Type": "application/json"}
_OUTCOMES: dict[str, Outcome] = {"canceled": "cancelled", "expired": "expired"}


class _Result(Struct):
    type: str
    message: Raw = Raw()
    error: Raw = Raw()


class _Line(Struct):
    custom_id: str
    result: _Result


_decode = msgspec.json.Decoder(_Line).decode
_encode = msgspec.json.Encoder().encode

BodyOf = Callable[[ModelRequest], dict[str, Any]]


class AnthropicBatches:
    """Requests are encoded once and sent as they are: the SDK would look through each of thousands twice."""

    share = 0.5
    most_requests = 10_000
    """Of the 100,000 that are allowed; all are held in memory while they are sent."""
    most_bytes = 16 * 1024 * 1024
    """Of 256 MB, likewise."""

    def __init__(self, client: anthropic.AsyncAnthropic, ref: str, body_of: BodyOf) -> None:
        """`body_of` makes the parameters of one request."""
        self._client = client
        self._ref = ref
        self._body_of = body_of

    def encode(self, custom_id: str, request: ModelRequest) -> bytes:
        return _encode({"custom_id": custom_id, "params": self._body_of(request)})

    async def create(self, requests: Sequence[bytes]) -> Submitted:
        body = b'{"requests":[' + b",".join(requests) + b"]}"
        with translated():
            made = await self._client.post(_PATH, cast_to=MessageBatch, content=body, options={"headers": _JSON})
        return _submitted(made)

    async def retrieve(self, batch_id: str) -> Submitted:
        with translated():
            return _submitted(await self._client.messages.batches.retrieve(batch_id))

    async def recent(self, since: float) -> Sequence[Submitted]:
        found: list[Submitted] = []
        with translated():
            page = await self._client.messages.batches.list(limit=_PAGE)
            while True:
                batches = [_submitted(batch) for batch in page.data]
                found += [batch for batch in batches if batch.created_at >= since]
                if len(batches) < _PAGE or batches[-1].created_at < since or not page.has_next_page():
                    return found
                page = await page.get_next_page()

    async def results(self, batch_id: str) -> AsyncIterator[Answered]:
        with translated():
            async with self._client.messages.batches.with_streaming_response.results(batch_id) as response:
                rest = b""
                async for chunk in response.iter_bytes():
                    *lines, rest = (rest + chunk).split(b"\n")
                    for line in lines:
                        if line.strip():
                            yield self._answered(line)
                if rest.strip():
                    yield self._answered(rest)

    async def cancel(self, batch_id: str) -> None:
        with translated():
            await self._client.messages.batches.cancel(batch_id)

    async def aclose(self) -> None:
        await self._client.close()

    def _answered(self, line: bytes) -> Answered:
        try:
            read = _decode(line)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise unavailable("broken_answer", "a line of a batch's results") from error
        result = read.result
        if result.type == "succeeded":
            return self._succeeded(read.custom_id, bytes(result.message))
        if result.type == "errored":
            return Answered(read.custom_id, "failed", error=from_answer(bytes(result.error)))
        return Answered(read.custom_id, _OUTCOMES.get(result.type, "failed"))

    def _succeeded(self, custom_id: str, message: bytes) -> Answered:
        told: list[str] = []
        answer = AnthropicAnswer(told.append, lambda _, __: None)
        try:
            answer.add_whole(message)
        except AppError as error:
            return Answered(custom_id, "failed", error=error)
        usage, _ = answer.usage(0)
        completion = answer.completion(usage, self._ref)
        text = "".join(told) if completion.text is None else completion.text
        return Answered(custom_id, "succeeded", text, completion)


def _submitted(batch: MessageBatch) -> Submitted:
    counts = batch.request_counts
    requests = sum(counts.model_dump(include={"processing", "succeeded", "errored", "canceled", "expired"}).values())
    return Submitted(batch.id, requests, batch.created_at.timestamp(), batch.processing_status == "ended")
