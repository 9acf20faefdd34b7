"""A key that is taken away, or expires, ends what was begun with it within seconds; what others began goes on."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from app.access.api_keys import fingerprint, new_secret
from tests.access.keys import line
from tests.api.events import Event, parse_all
from tests.conftest import Serve
from tests.models.servers import NO_ANSWER, Reply
from tests.service import Service, problem_of
from tests.upstream import MODEL, Upstream, asks, says, says_whole

ADA, BOB = new_secret(), new_secret()
SECONDS = 5.0
BEGUN = says("Hel", "lo").with_pieces(says("Hel", "lo").pieces[:2]).ending_with("silent")


def slowly(tenths: int) -> Reply:
    """An answer that takes so many tenths of a second."""
    return replace(says(*["x"] * tenths), pause=0.1)


@pytest.fixture
def keys_file(tmp_path: Path) -> Path:
    file = tmp_path / "keys.jsonl"
    file.write_text(line(ADA, user="ada") + line(BOB, user="bob"))
    return file


@pytest.fixture
def service(serve: Serve, keys_file: Path, upstream: Upstream) -> Service:
    return serve(
        auth="api-key",
        api_keys_file=keys_file,
        models=MODEL,
        openai_base_url=f"{upstream.url}/v1",
        unknown_price="allow",
    )


@pytest.fixture
def aside() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(4) as aside:
        yield aside


def ask(service: Service, path: str, key: str) -> httpx.Response:
    return service.ask("POST", path, {"query": "hi"}, authorization=f"Bearer {key}")


def last_of(text: str) -> Event:
    return parse_all(text)[-1]


def test_a_stream_ends_with_its_key_and_the_call_to_the_model_with_it(
    service: Service, keys_file: Path, upstream: Upstream, aside: ThreadPoolExecutor
) -> None:
    upstream.will(BEGUN)
    revoked = aside.submit(ask, service, "/chat/stream", ADA)
    upstream.wait_for_calls(1)
    keys_file.write_text(line(BOB, user="bob"))
    last = last_of(revoked.result(SECONDS).text)
    assert (last.name, last.data["status"]) == ("run.failed", 401)
    assert last.data["detail"] == "The credentials are revoked."
    upstream.wait_until_left(1.0)
    service.wait_for_event("agent.request.failed", user="ada", error="unauthorized")
    assert ADA not in service.raw_log()
    assert fingerprint(ADA) not in service.raw_log()
    assert ask(service, "/chat", ADA).status_code == 401


def test_the_streams_of_others_go_on(
    service: Service, keys_file: Path, upstream: Upstream, aside: ThreadPoolExecutor
) -> None:
    upstream.will(slowly(60))
    going_on = [aside.submit(ask, service, "/chat/stream", key) for key in (BOB, ADA)]
    upstream.wait_for_calls(2)
    keys_file.write_text(line(BOB, user="bob", tier="gold"))
    names = [last_of(stream.result(SECONDS + 10).text).name for stream in going_on]
    assert names == ["run.finished", "run.failed"]


@pytest.mark.parametrize("path", ["/chat", "/agent/run", "/chat/stream"])
def test_an_answer_that_has_not_begun_is_a_refusal(
    service: Service, keys_file: Path, upstream: Upstream, aside: ThreadPoolExecutor, path: str
) -> None:
    upstream.will(NO_ANSWER)
    revoked = aside.submit(ask, service, path, ADA)
    upstream.wait_for_calls(1)
    keys_file.write_text(line(BOB, user="bob"))
    answer = revoked.result(SECONDS)
    if path == "/chat/stream":  # it has: `run.started` came before the model was asked
        assert last_of(answer.text).data["status"] == 401
    else:
        problem_of(answer, 401, "unauthorized")
        assert "The token is revoked" in answer.headers["www-authenticate"]
    upstream.wait_until_left(1.0)


def test_a_key_that_expires_ends_its_streams(
    service: Service, keys_file: Path, upstream: Upstream, aside: ThreadPoolExecutor
) -> None:
    expires = datetime.now(UTC) + timedelta(seconds=5)
    keys_file.write_text(line(ADA, user="ada", expires=expires.isoformat()) + line(BOB, user="bob"))
    time.sleep(3)
    upstream.will(BEGUN)
    begun = aside.submit(ask, service, "/chat/stream", ADA)
    last = last_of(begun.result(SECONDS + 3).text)
    assert (last.data["status"], last.data["detail"]) == (401, "The credentials are expired.")
    assert datetime.now(UTC) >= expires


@pytest.mark.parametrize("content", ["", "# nobody\n", "{"])
def test_a_file_that_lost_its_keys_ends_nothing(
    service: Service, keys_file: Path, upstream: Upstream, aside: ThreadPoolExecutor, content: str
) -> None:
    service.may_log_errors = True
    upstream.will(slowly(40))
    stream = aside.submit(ask, service, "/chat/stream", ADA)
    upstream.wait_for_calls(1)
    keys_file.write_text(content)
    service.wait_for_event("api_keys.refused", keys=2)
    assert last_of(stream.result(SECONDS + 5).text).name == "run.finished"
    upstream.will(says_whole("ok"))
    assert ask(service, "/chat", BOB).status_code == 200


def test_a_run_ends_with_a_scope_that_it_may_have_used(
    service: Service, keys_file: Path, upstream: Upstream, aside: ThreadPoolExecutor
) -> None:
    keys_file.write_text(line(ADA, scopes=["chat", "tools:*"]) + line(BOB))
    time.sleep(3)
    upstream.will(asks(("clock", {}), stream=True), BEGUN)
    stream = aside.submit(ask, service, "/chat/stream", ADA)
    upstream.wait_for_calls(2)
    keys_file.write_text(line(ADA, scopes=["chat"]) + line(BOB))
    last = last_of(stream.result(SECONDS).text)
    assert (last.name, last.data["status"]) == ("run.failed", 401)
    upstream.will(says_whole("ok"))
    assert ask(service, "/chat", ADA).status_code == 200
