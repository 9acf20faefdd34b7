"""A dialect added from outside: its requests, events, end mark, answers and errors are its own on its route."""

from collections.abc import Iterator

import msgspec
import pytest
from fastapi import Request
from fastapi.testclient import TestClient
from pydantic import BaseModel
from starlette.responses import Response

from app.api.answering import answer
from app.api.dialects.protocol import Asked, Frame, KeptFrame
from app.api.framework import Api
from app.durable.event_codec import decode_event
from app.errors import AppError, InvalidRequest
from app.main import create_app
from app.runs.events import Answer, Event, RunFailed, RunFinished, RunStarted, Token
from app.runs.request import RunRequest
from app.settings import load


class Telegram(BaseModel):
    say: str


class Telegrams:
    """Pieces of the answer in capitals, behind the id of their message; STOP at the end."""

    problem_type = "text/plain"
    heartbeat = b"-\n"

    def request(self, body: bytes) -> Asked:
        fields = msgspec.json.decode(body)
        if "say" not in fields:
            raise InvalidRequest("Say something.")
        return Asked(RunRequest(message=fields["say"], stream=fields.get("live", False), model=fields.get("by")), None)

    def frames(self, path: str) -> Frame:
        message = ""

        def frame(number: int, event: Event) -> bytes:
            nonlocal message
            match event:
                case RunStarted():
                    message = event.message_id
                    return b""
                case Token(text):
                    return f"{message} {text.upper()}\n".encode()
                case RunFinished() | RunFailed():
                    return b"STOP %d\n" % number
                case _:
                    return b""

        return frame

    end_mark = b"STOP\n"

    def kept_frames(self, path: str) -> KeptFrame:
        frame = self.frames(path)
        return lambda number, event: frame(number, decode_event(event))

    def whole(self, answer: Answer) -> bytes:
        return answer.answer.upper().encode()

    def problem(self, error: AppError, path: str) -> tuple[int, bytes]:
        return 418, f"{path} {error.status} {error.slug}".encode()


@pytest.fixture(scope="module")
def client() -> Iterator[TestClient]:
    app: Api = create_app(load(None, auth="none"))
    dialect = Telegrams()

    @app.fast_post("/telegram", body=Telegram, dialect=dialect)
    async def telegram(request: Request) -> Response:
        return await answer(request, app.state.runner, app.state.kept, dialect)

    with TestClient(app) as client:
        yield client


def test_an_answer_is_written_in_the_dialect(client: TestClient) -> None:
    answer = client.post("/telegram", json={"say": "hello"})
    assert answer.status_code == 200
    assert "HELLO" in answer.text


def test_a_stream_remembers_across_its_events_and_shows_what_the_dialect_shows(client: TestClient) -> None:
    *pieces, stop = client.post("/telegram", json={"say": "hello", "live": True}).text.splitlines()
    ids, words = zip(*(piece.split(" ", 1) for piece in pieces if piece != "-"), strict=True)
    assert len(set(ids)) == 1
    assert ids[0]
    assert "HELLO" in "".join(words)
    assert stop.startswith("STOP ")


@pytest.mark.parametrize(
    ("body", "headers", "told"),
    [
        (b"{}", {}, "/telegram 422 invalid-request"),
        (b'{"say": "hi", "by": "nobody"}', {}, "/telegram 404 not-found"),
        (b'{"say": "hi"}', {"Content-Type": "text/plain"}, "/telegram 415 unsupported-media-type"),
        (b" " * 2_000_000, {}, "/telegram 413 body-too-large"),
        (b"{", {}, "/telegram 500 internal-error"),
    ],
    ids=["its own", "a run's", "before the body", "too large", "a crash"],
)
def test_errors_are_written_in_the_dialect(client: TestClient, body: bytes, headers: dict[str, str], told: str) -> None:
    answer = client.post("/telegram", content=body, headers={"Content-Type": "application/json", **headers})
    assert (answer.status_code, answer.text) == (418, told)
    assert answer.headers["content-type"].startswith("text/plain")


def test_other_routes_keep_theirs(client: TestClient) -> None:
    assert client.post("/chat", json={}).json()["type"] == "urn:agent-api:problem:invalid-request"
    assert client.post("/nowhere", json={}).json()["type"] == "urn:agent-api:problem:not-found"


def test_the_document_has_the_route(client: TestClient) -> None:
    document = client.get("/openapi.json").json()
    body = document["paths"]["/telegram"]["post"]["requestBody"]["content"]["application/json"]
    assert body["schema"] == {"$ref": "#/components/schemas/Telegram"}
