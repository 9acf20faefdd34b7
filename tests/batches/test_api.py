"""`/batches` over HTTP: what is taken in, what is shown, what is refused."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from tests.service import Service, problem_of

LINES = "application/jsonl"


def wait_until_over(service: Service, batch_id: str) -> dict[str, Any]:
    while True:
        shown: dict[str, Any] = service.client.get(f"/batches/{batch_id}").json()
        if shown["status"] in ("ended", "cancelled", "expired"):
            return shown


def send_lines(service: Service, *lines: object) -> httpx.Response:
    body = "\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines)
    return service.client.post("/batches", content=body, headers={"content-type": LINES})


def inputs(*messages: str) -> list[dict[str, str]]:
    return [{"custom_id": f"c-{n}", "message": message} for n, message in enumerate(messages)]


def results(service: Service, batch_id: str) -> list[dict[str, Any]]:
    response = service.client.get(f"/batches/{batch_id}/results")
    assert response.headers["content-type"] == LINES
    return [json.loads(line) for line in response.text.splitlines()]


def test_a_batch_is_answered(demo: Service) -> None:
    response = demo.client.post("/batches", json={"inputs": inputs("6*7?", "hello"), "agent": "default"})
    assert response.status_code == 202
    shown = response.json()
    batch_id = shown["batch_id"]
    assert response.headers["location"] == shown["links"]["self"] == f"/batches/{batch_id}"
    assert shown["counts"] == {"total": 2, "open": 2, "succeeded": 0, "failed": 0, "cancelled": 0, "expired": 0}
    over = wait_until_over(demo, batch_id)
    assert (over["status"], over["counts"]["succeeded"], over["way"]) == ("ended", 2, "queue")
    assert over["created_at"] <= over["started_at"] <= over["ended_at"]
    assert [each["custom_id"] for each in results(demo, batch_id)] == ["c-0", "c-1"]
    assert batch_id in [each["batch_id"] for each in demo.client.get("/batches").json()["batches"]]


def test_json_lines_are_a_batch_as_well(demo: Service) -> None:
    lines = [{"agent": "default", "max_tokens": 5}, "", *inputs("a", "b"), {"custom_id": "q", "query": "c"}]
    response = send_lines(demo, *lines)
    assert (response.status_code, response.json()["counts"]["total"]) == (202, 3)
    without_options = send_lines(demo, *inputs("a"))
    assert without_options.json()["counts"]["total"] == 1
    wait_until_over(demo, response.json()["batch_id"])
    assert [each["custom_id"] for each in results(demo, response.json()["batch_id"])] == ["c-0", "c-1", "q"]


def test_every_bad_line_is_named(demo: Service) -> None:
    bad = ["{", {"custom_id": "c-0", "message": "twice"}, {"custom_id": "x y", "message": "m"}, {"custom_id": "e"}]
    worse = [{"custom_id": "b", "message": " "}, {"custom_id": "u", "message": "m", "agent": "a"}, [1]]
    response = send_lines(demo, *inputs("fine"), *bad, *worse)
    problem = problem_of(response, 422, "invalid-request")
    assert [each["field"] for each in problem["errors"]] == [f"line {n}" for n in range(2, 9)]
    assert "Another input has it" in problem["errors"][1]["problem"]
    as_json = demo.client.post("/batches", json={"inputs": [*inputs("fine"), {"message": "no id"}, 7]})
    problem = problem_of(as_json, 422, "invalid-request")
    assert [each["field"] for each in problem["errors"]] == ["inputs.1", "inputs.2"]
    many = send_lines(demo, *(["x"] * 1_500))
    problem = problem_of(many, 422, "invalid-request")
    assert (len(problem["errors"]), problem["more_errors"]) == (1_000, 500)


@pytest.mark.parametrize(
    ("body", "status", "kind"),
    [
        ({}, 422, "invalid-request"),
        ([], 422, "invalid-request"),
        ({"inputs": []}, 422, "invalid-request"),
        ({"inputs": 1}, 422, "invalid-request"),
        ({"inputs": inputs("a"), "stream": True}, 422, "invalid-request"),
        ({"inputs": inputs("a"), "start_at": "tomorrow"}, 422, "invalid-request"),
        ({"inputs": inputs("a"), "agent": "nobody"}, 404, "not-found"),
        ({"inputs": inputs("a"), "model": "nothing"}, 404, "not-found"),
        ({"inputs": inputs("a"), "system": "Be rude."}, 422, "invalid-request"),
    ],
)
def test_what_cannot_be_a_batch_is_refused(demo: Service, body: Any, status: int, kind: str) -> None:
    problem_of(demo.client.post("/batches", json=body), status, kind)


def test_other_media_types_are_refused_and_lines_elsewhere(demo: Service) -> None:
    response = demo.client.post("/batches", content="x", headers={"content-type": "text/csv"})
    problem_of(response, 415, "unsupported-media-type")
    problem_of(demo.client.post("/chat", content="{}", headers={"content-type": LINES}), 415, "unsupported-media-type")


@pytest.fixture(scope="module")
def narrow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service with low maximums, and nobody who works."""
    service = Service(
        tmp_path_factory.mktemp("narrow"),
        max_body_bytes=50_000,
        max_bodies_bytes=400_000,
        batch_body_bytes=2_000_000,
        batch_inputs=2_000,
        batches_per_user=2,
        workers=0,
        refused_per_minute="off",
    )
    yield service
    service.end()


def cancel_all(service: Service) -> None:
    for shown in service.client.get("/batches").json()["batches"]:
        service.client.post(shown["links"]["cancel"])


def test_a_large_batch_is_taken_as_lines_and_refused_as_json(narrow: Service) -> None:
    many = inputs(*(["x" * 1_000] * 900))
    assert send_lines(narrow, *many).json()["counts"]["total"] == 900
    problem_of(narrow.client.post("/batches", json={"inputs": many}), 413, "body-too-large")
    problem_of(send_lines(narrow, *inputs(*(["x" * 1_000] * 1_950))), 413, "body-too-large")
    problem_of(send_lines(narrow, *inputs("x" * 60_000)), 413, "body-too-large")

    def pieces(count: int) -> Iterator[bytes]:
        return iter([json.dumps(line).encode() + b"\n" for line in inputs(*(["x" * 1_000] * count))])

    chunked = narrow.client.post("/batches", content=pieces(900), headers={"content-type": LINES})
    assert chunked.json()["counts"]["total"] == 900
    too_large = narrow.client.post("/batches", content=pieces(1_950), headers={"content-type": LINES})
    problem_of(too_large, 413, "body-too-large")
    cancel_all(narrow)


def test_there_is_a_maximum_of_inputs_and_of_batches(narrow: Service) -> None:
    problem_of(send_lines(narrow, *inputs(*("a" * 2_001))), 422, "invalid-request")
    made = [send_lines(narrow, *inputs("a")).json()["batch_id"] for _ in range(2)]
    problem_of(send_lines(narrow, *inputs("a")), 429, "too-many-batches")
    assert narrow.client.post(f"/batches/{made[0]}/cancel").json() == {"batch_id": made[0], "status": "cancelled"}
    problem_of(narrow.client.post(f"/batches/{made[0]}/cancel"), 409, "batch-over")
    third = send_lines(narrow, *inputs("a")).json()["batch_id"]
    problem_of(narrow.client.get(f"/batches/{made[0]}"), 404, "not-found")
    page = narrow.client.get("/batches?limit=1").json()
    assert [each["batch_id"] for each in page["batches"]] == [third]
    rest = narrow.client.get("/batches", params={"limit": 1, "cursor": page["next"]}).json()
    assert ([each["batch_id"] for each in rest["batches"]], rest["next"]) == ([made[1]], None)
    cancel_all(narrow)


def test_it_starts_at_its_time(demo: Service) -> None:
    start = datetime.now(UTC) + timedelta(seconds=1)
    body = {"inputs": inputs("a"), "start_at": start.isoformat()}
    shown = demo.client.post("/batches", json=body).json()
    assert (shown["status"], shown["started_at"]) == ("queued", None)
    over = wait_until_over(demo, shown["batch_id"])
    late = datetime.fromisoformat(over["started_at"]) - start
    assert timedelta(0) <= late
    assert datetime.fromisoformat(over["start_at"]).timestamp() == pytest.approx(start.timestamp(), abs=0.01)


def test_a_batch_that_there_is_not_is_not_found(narrow: Service) -> None:
    unknown = "00000000-0000-4000-8000-000000000000"
    for method, path in (("GET", ""), ("GET", "/results"), ("POST", "/cancel")):
        problem_of(narrow.ask(method, f"/batches/{unknown}{path}"), 404, "not-found")
