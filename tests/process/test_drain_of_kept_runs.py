"""A process that leaves: who reads a run elsewhere is sent there, who waits for a run of its own has it to the end."""

import re
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from tests.api.events import parse_all
from tests.conftest import Serve
from tests.models.servers import NO_ANSWER
from tests.redis_server import RedisServer
from tests.service import Service, problem_of
from tests.upstream import MODEL, Upstream, says

WORDS = [f"word{number} " for number in range(20)]


@pytest.fixture
def leaving(serve: Serve, upstream: Upstream, redis_server: RedisServer) -> Service:
    upstream.will(replace(says(*WORDS), pause=0.1))
    return serve(models=MODEL, openai_base_url=f"{upstream.url}/v1", unknown_price="allow", redis_url=redis_server.url)


def test_a_stream_of_a_run_that_is_worked_on_here_lasts_to_its_end(leaving: Service) -> None:
    body = {"message": "hi", "resumable": True}
    with leaving.new_client() as client, client.stream("POST", "/chat/stream", json=body) as response:
        arriving = response.iter_text()
        first = next(arriving)
        leaving.signal(signal.SIGTERM)
        text = first + "".join(arriving)
    assert parse_all(text)[-1].data["answer"] == "".join(WORDS)
    assert leaving.wait() == 0


def test_a_reader_of_a_run_is_sent_elsewhere(leaving: Service) -> None:
    run_id = leaving.ask("POST", "/runs", {"query": "hi", "stream": True}).json()["run_id"]
    with leaving.new_client() as client, client.stream("GET", f"/runs/{run_id}/events") as response:
        arriving = response.iter_text()
        next(arriving)
        started = time.monotonic()
        leaving.signal(signal.SIGTERM)
        rest = "".join(arriving)
    assert "[DONE]" not in rest
    assert time.monotonic() - started < 10
    assert leaving.wait() == 0


@pytest.mark.parametrize(("key", "left"), [("", "cancelled"), ("again", "queued")])
def test_a_plain_request_whose_run_may_wait_is_told_to_come_again(
    tmp_path: Path, serve: Serve, upstream: Upstream, redis_server: RedisServer, key: str, left: str
) -> None:
    """With a key its run goes on elsewhere, and the same request gets the answer."""
    redis_server.ask("FLUSHALL")
    (tmp_path / "half.yaml").write_text("prompt: Be kind.\napprovals:\n  tools: [clock]\n")
    upstream.will(NO_ANSWER)
    url = f"{upstream.url}/v1"
    leaving = serve(
        models=MODEL,
        openai_base_url=url,
        unknown_price="allow",
        redis_url=redis_server.url,
        agents_dir=tmp_path,
        workers=0,
    )
    headers = {"Idempotency-Key": key} if key else {}
    with ThreadPoolExecutor(1) as asking:
        body = {"message": "hi", "agent": "half"}
        asked = asking.submit(leaving.client.post, "/chat", json=body, headers=headers)
        upstream.wait_for_calls(1)
        leaving.signal(signal.SIGTERM)
        leaving.wait_for_event("drain.start")
        leaving.signal(signal.SIGINT)
        problem_of(asked.result(), 503, "shutting-down")
    assert leaving.wait() == 0
    run_id = leaving.log("request")[-1]["run_id"]
    (name,) = re.findall(rb"\S+run:%b(?=\r)" % run_id.encode(), redis_server.ask("KEYS *"))
    assert redis_server.ask(f"HGET {name.decode()} status").split(b"\r\n")[1] == left.encode()
