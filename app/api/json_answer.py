"""Answers whose body is JSON."""

from collections.abc import Mapping

import msgspec
from starlette.responses import Response


def json_answer(body: object, headers: Mapping[str, str] | None = None, status: int = 200) -> Response:
    """`body` is whatever msgspec encodes."""
    return Response(msgspec.json.encode(body), status, headers, "application/json")
