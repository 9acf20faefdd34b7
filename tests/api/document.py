"""The OpenAPI document as a judge of answers."""

from typing import Any

import httpx
from jsonschema import Draft202012Validator

PROBLEM = "application/problem+json"


class Document:
    def __init__(self, document: dict[str, Any]) -> None:
        self.paths: dict[str, dict[str, Any]] = document["paths"]
        self._root = {"components": document["components"]}

    def operations(self) -> list[tuple[str, str, dict[str, Any]]]:
        """Method, path and operation of every route."""
        return [
            (method, path, operation) for path, methods in self.paths.items() for method, operation in methods.items()
        ]

    def check(self, response: httpx.Response, path: str) -> None:
        """The answer is one that the document has for the path, and its body is as the document says."""
        operation = self.paths[path][response.request.method.lower()]
        status = str(response.status_code)
        assert status in operation["responses"], f"{status} of {path} is not documented"
        content = operation["responses"][status].get("content", {})
        if not content:
            assert response.content == b""
            return
        kind = response.headers["content-type"].partition(";")[0]
        assert kind in content, f"{kind} of {path} {status} is not documented"
        value = response.text if kind.startswith("text/") else response.json()
        Draft202012Validator({**content[kind]["schema"], **self._root}).validate(value)

    def accepts(self, path: str, body: Any) -> bool:
        """Whether the document lets this body in."""
        schema = self.paths[path]["post"]["requestBody"]["content"]["application/json"]["schema"]
        return bool(Draft202012Validator({**schema, **self._root}).is_valid(body))


ANSWER_FIELDS = {
    "answer",
    "session_id",
    "message_id",
    "run_id",
    "sources",
    "model",
    "fallback_from",
    "attempts",
    "finish_reason",
    "usage",
    "tokens_used",
    "cost_usd",
    "latency_ms",
    "cached",
    "age_seconds",
    "degraded",
    "escalated",
    "trace_id",
    "request_id",
}
