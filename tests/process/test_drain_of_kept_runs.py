"""A process that leaves: who reads a run elsewhere is sent there, who waits for a run of its own has it to the end."""

import signal
import time
from dataclasses import replace

import pytest

from tests.api.events import parse_all
from tests.conftest import Serve
from tests.redis_server import RedisServer
from tests.service import Service
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
