"""Runs that outlive their process: the pod that has one is killed in the middle, and readers go on at another pod."""

import json
import re
import time
import urllib.request
from collections.abc import Iterator
from itertools import islice
from typing import Any

import pytest

from tests.e2e.cluster import SCRATCH, Release, eventually, fetch, forwarded, get, kubectl, run

ASKED = "look first, then hold 15"
"""The model calls a tool, and then takes as many seconds."""
EXPORTED_SECONDS = 7
"""After which the spans that have ended have left a process."""
Events = list[tuple[int, str, dict[str, Any]]]


@pytest.fixture(scope="module")
def release(slow_model: str) -> Iterator[Release]:
    """Two pods of the API and two workers."""
    one = Release("durable")
    one.install(
        {
            "image": {"tag": "dev"},
            "replicaCount": 2,
            "models": ["openai/slow"],
            "unknownPrice": "allow",
            "openai": {"baseUrl": slow_model},
            "redis": {"url": "redis://valkey.platform:6379/5"},
            "tracing": {"endpoint": "http://jaeger.platform:4317", "ratio": 1},
            "worker": {"enabled": True, "replicaCount": 2},
        }
    )
    yield one
    one.uninstall()


def workers(one: Release) -> list[str]:
    selector = f"app.kubernetes.io/instance={one.name},app.kubernetes.io/component=worker"
    pods: list[dict[str, Any]] = get("pods", "--selector", selector)["items"]
    return [pod["metadata"]["name"] for pod in pods if "deletionTimestamp" not in pod["metadata"]]


def who_has(run_id: str, pods: list[str]) -> str | None:
    """The pod that has begun the run."""
    return next((pod for pod in pods if f'"run_id":"{run_id}"' in kubectl("logs", pod)), None)


def kill(pod: str) -> None:
    kubectl("delete", "pod", pod, "--grace-period", "0", "--force")


def parsed(frames: str) -> Events:
    found = re.findall(r"^id: (\d+)\nevent: ([\w.]+)\ndata: (.+)$", frames, re.MULTILINE)
    return [(int(number), name, json.loads(data)) for number, name, data in found]


def first_events(url: str, count: int, body: dict[str, Any] | None = None) -> Events:
    """The beginning of a stream, which is then left."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data=data, headers={"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as stream:
        lines = (line.decode() for line in stream)
        return parsed("".join(islice((line for line in lines if not line.startswith(":")), 4 * count)))


def the_rest(url: str, run_id: str, last: int) -> Events:
    """As anybody reads it who was cut off."""
    command = ["curl", "--silent", "--show-error", "--no-buffer", "--max-time", "90"]
    return parsed(run(*command, "--header", f"Last-Event-ID: {last}", f"{url}/runs/{run_id}/events"))


def shown(events: Events) -> str:
    """The text, without what a resumption takes back."""
    text: list[tuple[int, str]] = []
    for number, name, data in events:
        if name == "run.resumed":
            text = [one for one in text if one[0] < data["discard_from"]]
        elif name == "token":
            text.append((number, data["text"]))
    return "".join(piece for _, piece in text)


def check_whole(events: Events, url: str, run_id: str) -> None:
    assert [number for number, _, _ in events] == list(range(1, len(events) + 1))
    assert [name for _, name, _ in events].count("run.resumed") == 1
    assert events[-1][1] == "run.finished"
    record = json.loads(fetch(f"{url}/runs/{run_id}"))
    assert record["status"] == "succeeded"
    assert record["answer"]["answer"] == shown(events)


def check_trace(jaeger: str, trace_id: str) -> None:
    """One trace has what both processes did."""

    def pods() -> dict[str, set[str]] | None:
        trace = json.loads(fetch(f"{jaeger}/api/traces/{trace_id}"))["data"][0]
        names = {
            key: next(tag["value"] for tag in process["tags"] if tag["key"] == "k8s.pod.name")
            for key, process in trace["processes"].items()
        }
        found: dict[str, set[str]] = {}
        for span in trace["spans"]:
            found.setdefault(span["operationName"], set()).add(names[span["processID"]])
        return found if len(found.get("agent.iteration", ())) > 1 else None

    found = eventually("both processes are in the trace", 60, pods)
    print(f"\n{trace_id}:", *(f"{name}: {', '.join(sorted(by))}" for name, by in sorted(found.items())), sep="\n  ")
    assert len(found["execute_tool clock"]) == 1, "the tool was called once"


def test_a_run_goes_on_when_the_worker_that_has_it_is_killed(release: Release, jaeger: str) -> None:
    first, second = release.ready_pods()
    with forwarded(first, 8000, SCRATCH, "pod") as here, forwarded(second, 8000, SCRATCH, "pod") as there:
        run_id = json.loads(fetch(f"{here}/runs", {"message": ASKED}))["run_id"]
        before = first_events(f"{here}/runs/{run_id}/events", 3)
        having = eventually("a worker has it", 10, lambda: who_has(run_id, workers(release)))
        time.sleep(EXPORTED_SECONDS)
        kill(having)
        after = the_rest(there, run_id, before[-1][0])
        check_whole([*before, *after], there, run_id)
        check_trace(jaeger, before[0][2]["trace_id"])


def test_a_stream_goes_on_at_another_pod_when_the_one_that_sends_it_is_killed(release: Release, jaeger: str) -> None:
    first, second = release.ready_pods()
    with forwarded(second, 8000, SCRATCH, "pod") as there:
        with forwarded(first, 8000, SCRATCH, "pod") as here:
            asked = {"message": ASKED, "resumable": True, "on_disconnect": "continue"}
            before = first_events(f"{here}/chat/stream", 10, asked)
            time.sleep(EXPORTED_SECONDS)
            kill(first)
        run_id = before[0][2]["run_id"]
        after = the_rest(there, run_id, before[-1][0])
        check_whole([*before, *after], there, run_id)
        check_trace(jaeger, before[0][2]["trace_id"])
