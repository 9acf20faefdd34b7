"""A provider that speaks Anthropic's Message Batches, on a real socket: what it is asked decides what it answers.

A message of `fail …` errs, `refuse …` is refused, `expire …` expires, `empty …` is answered with nothing; others are
answered by `echo: …`. A batch ends when the test says so, or with `ends_at_once`. Half of the answers come back first
in the wrong order, as they may.
"""

import json
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.models.servers import Provider, Received, Reply

INPUT, READ, WRITTEN, OUTPUT = 100, 40, 20, 11
"""Tokens of each answer, on the wire without those of the cache."""


class BatchProvider(Provider):
    def __init__(self, *, ends_at_once: bool = False) -> None:
        super().__init__()
        self.batches: dict[str, dict[str, Any]] = {}
        self.requests: dict[str, list[dict[str, Any]]] = {}
        self.created = 0
        self.lines: dict[str, list[bytes]] = {}
        self.ends_at_once = ends_at_once
        self.next_creates: list[Reply | None] = []
        """Replies to the next creations; None: the batch is made, and its reply is lost."""
        self.cut_results = 0
        """How many times results break off after their first line."""
        self.clock = 1_700_000_000.0
        self.will(Reply([b'{"data":[]}']))

    def end(self) -> None:
        """End all batches."""
        for batch in self.batches.values():
            if batch["processing_status"] != "ended":
                self.finish(batch)

    @property
    def sent(self) -> list[dict[str, Any]]:
        """All requests of all batches."""
        return [request for requests in self.requests.values() for request in requests]

    def reply_to(self, request: Received) -> Reply:
        url = urlsplit(request.path)
        match request.method, url.path.removeprefix("/v1/messages/batches").split("/"):
            case "POST", [""]:
                return self._create(request.body)
            case "GET", [""] if url.path.startswith("/v1/messages/batches"):
                return self._list(int(parse_qs(url.query)["limit"][0]), parse_qs(url.query).get("after_id", [""])[0])
            case "GET", ["", batch_id]:
                return _json(self.batches[batch_id])
            case "POST", ["", batch_id, "cancel"]:
                return self._cancel(batch_id)
            case "GET", ["", batch_id, "results"]:
                return self._results(batch_id)
        return super().reply_to(request)

    def _create(self, body: dict[str, Any]) -> Reply:
        planned = self.next_creates.pop(0) if self.next_creates else _TAKEN
        if planned is not None and planned is not _TAKEN:
            return planned
        self.created += 1
        batch_id = f"msgbatch_{self.created}"
        assert len({request["custom_id"] for request in body["requests"]}) == len(body["requests"])
        assert not any("stream" in request["params"] for request in body["requests"])
        self.requests[batch_id] = body["requests"]
        batch = self.batches[batch_id] = {
            "id": batch_id,
            "type": "message_batch",
            "processing_status": "in_progress",
            "request_counts": {"processing": len(body["requests"]), **dict.fromkeys(_KINDS, 0)},
            "created_at": "2100-01-01T00:00:00Z",
            "expires_at": "2100-01-02T00:00:00Z",
            "results_url": None,
        }
        if self.ends_at_once:
            self.finish(batch)
        return _json(batch).ending_with("reset").with_pieces([]) if planned is None else _json(batch)

    def _list(self, limit: int, after: str) -> Reply:
        newest = list(reversed(self.batches.values()))
        start = next((n for n, batch in enumerate(newest, 1) if batch["id"] == after), 0)
        page = newest[start : start + limit]
        more = len(newest) > start + limit
        return _json({"data": page, "has_more": more, "first_id": None, "last_id": page[-1]["id"] if page else None})

    def _cancel(self, batch_id: str) -> Reply:
        batch = self.batches[batch_id]
        if batch["processing_status"] == "in_progress":
            batch["processing_status"] = "canceling"
        return _json(batch)

    def finish(self, batch: dict[str, Any]) -> None:
        cancelled = batch["processing_status"] == "canceling"
        batch["processing_status"] = "ended"
        batch["results_url"] = f"{self.url}/v1/messages/batches/{batch['id']}/results"
        results = [
            {"custom_id": request["custom_id"], "result": _result(request["params"], place, cancelled=cancelled)}
            for place, request in enumerate(self.requests[batch["id"]])
        ]
        self.lines[batch["id"]] = [json.dumps(result).encode() + b"\n" for result in (*results[1::2], *results[::2])]

    def _results(self, batch_id: str) -> Reply:
        lines = self.lines[batch_id]
        headers = {"Content-Type": "application/x-jsonl"}
        if self.cut_results:
            self.cut_results -= 1
            return Reply(lines[:1], headers=headers, ending="reset")
        whole = b"".join(lines)
        return Reply([whole[at : at + 5000] for at in range(0, len(whole), 5000)], headers=headers)


_TAKEN = Reply()
_KINDS = ("succeeded", "errored", "canceled", "expired")


def _result(params: dict[str, Any], place: int, *, cancelled: bool) -> dict[str, Any]:
    said = params["messages"][-1]["content"][-1]["text"]
    kind = said.split(" ")[0]
    if cancelled and place:  # the first was being answered
        return {"type": "canceled"}
    if kind == "fail":
        error = {"type": "error", "error": {"type": "invalid_request_error", "message": "words of the provider"}}
        return {"type": "errored", "error": error}
    if kind == "expire":
        return {"type": "expired"}
    text = "" if kind in ("empty", "refuse") else f"echo: {said}"
    usage = {
        "input_tokens": INPUT,
        "cache_read_input_tokens": READ,
        "cache_creation_input_tokens": WRITTEN,
        "output_tokens": OUTPUT + place,
    }
    message = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": params["model"],
        "content": [{"type": "text", "text": text}] if text else [],
        "stop_reason": "refusal" if kind == "refuse" else "end_turn",
        "usage": usage,
    }
    return {"type": "succeeded", "message": message}


def _json(body: dict[str, Any]) -> Reply:
    return Reply([json.dumps(body).encode()])
