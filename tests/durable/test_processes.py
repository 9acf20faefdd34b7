"""Real processes: one is killed, or stopped and continued; another one goes on with its run."""

import signal
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.models.servers import NO_ANSWER
from tests.redis_server import RedisServer
from tests.service import Service
from tests.upstream import MODEL, Upstream, says_whole

SECONDS = 20.0
LEASE = 1


@contextmanager
def started(folder: Path, upstream: Upstream, server: RedisServer, **settings: object) -> Iterator[Service]:
    """A process that works on runs, and is killed in the end."""
    service = Service(
        folder,
        models=MODEL,
        openai_base_url=f"{upstream.url}/v1",
        openai_api_key="sk-of-the-service",
        unknown_price="allow",
        redis_url=server.url,
        workers=2,
        run_lease_seconds=LEASE,
        **settings,
    )
    try:
        yield service
    finally:
        service.client.close()
        service.process.kill()
        service.process.wait()


def submit(service: Service, message: str = "Hello", **fields: Any) -> str:
    response = service.ask("POST", "/runs", {"message": message, **fields})
    assert response.status_code == 202, response.text
    return str(response.json()["run_id"])


def over(service: Service, run_id: str, seconds: float = SECONDS) -> Mapping[str, Any]:
    end = time.monotonic() + seconds
    while (run := service.ask("GET", f"/runs/{run_id}").json())["status"] in ("queued", "running"):
        assert time.monotonic() < end, run
        time.sleep(0.05)
    return dict(run)


def events(service: Service, run_id: str) -> list[str]:
    """Their names; their numbers have no gaps."""
    lines = service.ask("GET", f"/runs/{run_id}/events").text.split("\n")
    numbers = [int(line.removeprefix("id: ")) for line in lines if line.startswith("id: ")]
    assert numbers == list(range(1, len(numbers) + 1))
    return [line.removeprefix("event: ") for line in lines if line.startswith("event: ")]


def until_asked(upstream: Upstream, times: int) -> None:
    end = time.monotonic() + SECONDS
    while sum(request.method == "POST" for request in upstream.received) < times:
        assert time.monotonic() < end
        time.sleep(0.01)


def until_begun(upstream: Upstream, service: Service, run_id: str) -> None:
    """The model is asked, and the store knows of it: whoever goes on with the run resumes it."""
    until_asked(upstream, 1)
    end = time.monotonic() + SECONDS
    while not service.ask("GET", f"/runs/{run_id}").json()["last_event"]:
        assert time.monotonic() < end
        time.sleep(0.01)


def test_a_process_is_stopped_for_a_while_then_one_is_killed_then_one_leaves(
    tmp_path: Path, upstream: Upstream, redis_server: RedisServer
) -> None:
    redis_server.ask("FLUSHALL")
    with started(tmp_path / "a", upstream, redis_server) as first:
        upstream.will(NO_ANSWER)
        run_id = submit(first)
        until_begun(upstream, first, run_id)
        with started(tmp_path / "b", upstream, redis_server) as second:
            first.signal(signal.SIGSTOP)
            told = goes_on(upstream, second, run_id)
            first.signal(signal.SIGCONT)
            time.sleep(2 * LEASE)
            assert first.ask("GET", "/live").status_code == 200
            assert events(first, run_id) == told
            assert not first.log("agent.request.success")
            assert not first.log("agent.request.failed")

            upstream.reset()
            upstream.will(NO_ANSWER)
            run_id = submit(first)
            until_begun(upstream, first, run_id)
            dying, living = (first, second) if first.log("agent.request.start", run_id=run_id) else (second, first)
            dying.signal(signal.SIGKILL)
            goes_on(upstream, living, run_id)

            upstream.reset()
            upstream.will(NO_ANSWER)
            run_id = submit(living)
            until_begun(upstream, living, run_id)
            living.signal(signal.SIGTERM)
            assert living.wait() == 0
            assert living.log("run.handed_back", run_id=run_id)


def goes_on(upstream: Upstream, process: Service, run_id: str) -> list[str]:
    """The process goes on with the run of one that has gone; the run's events."""
    gone_at = time.monotonic()
    upstream.will(says_whole("Once upon a time."))
    run = over(process, run_id)
    assert time.monotonic() - gone_at < 15
    assert (run["status"], run["crashes"]) == ("succeeded", 1), run
    assert run["answer"]["answer"] == "Once upon a time."
    resumed = process.wait_for_event("agent.request.resumed", run_id=run_id)
    assert resumed["reason"] == "crash"
    told = events(process, run_id)
    assert told.count("run.resumed") == told.count("run.finished") == 1
    return told


def test_the_store_takes_no_writes_and_then_goes_away_and_comes_back_empty(
    tmp_path: Path, upstream: Upstream, mortal_redis: RedisServer
) -> None:
    with started(tmp_path / "a", upstream, mortal_redis) as service:
        upstream.will(NO_ANSWER)
        run_id = submit(service)
        until_asked(upstream, 1)
        read_only(mortal_redis, on=True)
        assert service.ask("POST", "/runs", {"message": "Hello"}).status_code == 503
        assert service.ask("POST", f"/runs/{run_id}/cancel").status_code == 503
        read_only(mortal_redis, on=False)
        assert service.ask("POST", f"/runs/{run_id}/cancel").status_code == 202
        assert over(service, run_id)["status"] == "cancelled"

        upstream.reset()
        upstream.will(NO_ANSWER)
        run_id = submit(service)
        until_asked(upstream, 1)
        mortal_redis.stop()
        assert service.ask("POST", "/runs", {"message": "Hello"}).status_code == 503
        mortal_redis.start()
        end = time.monotonic() + SECONDS
        while service.ask("GET", f"/runs/{run_id}").status_code != 404:
            assert time.monotonic() < end
            time.sleep(0.05)
        upstream.reset()
        upstream.will(says_whole("Hello."))
        run_id = submit(service)
        assert over(service, run_id)["status"] == "succeeded"


def read_only(server: RedisServer, *, on: bool) -> None:
    server.ask(f"CONFIG SET min-replicas-to-write {int(on)}")
