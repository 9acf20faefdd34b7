"""What a refused request costs and how much is answered is bounded, whatever it holds."""

import json
import time
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import pytest

from app.api.body import LARGE_BYTES, Body
from app.api.dialects.native.requests import AgentRunRequest, ChatRequest
from app.api.invalid import MAX_NAME_CHARS, MAX_NAMED
from app.api.requests import ToolArguments
from app.errors import InvalidRequest
from tests.service import Service, problem_of

JSON = {"Content-Type": "application/json"}
POSTED = ["/chat", "/chat/stream", "/api/chat", "/agent/run"]
MANY = json.dumps({f"{index:05d}": 1 for index in range(90_000)}, separators=(",", ":")).encode()
MAX_ANSWER_BYTES = 8_192
MAX_CPU_SECONDS = 0.06  # three times the goal: the machine that tests is not alone


def refused(service: Service, path: str, body: bytes) -> Any:
    response = service.client.post(path, content=body, headers=JSON)
    assert len(response.content) < MAX_ANSWER_BYTES
    problem = problem_of(response, 422, "invalid-request")
    assert len(problem.get("errors", ())) <= MAX_NAMED
    for error in problem.get("errors", ()):
        assert len(error["field"]) <= MAX_NAME_CHARS
        assert error["field"].isprintable()
    return problem


@pytest.mark.parametrize("path", POSTED)
def test_twenty_of_ninety_thousand_fields_are_named(demo: Service, path: str) -> None:
    problem = refused(demo, path, MANY)
    assert len(problem["errors"]) == MAX_NAMED
    assert problem["more_errors"] in (90_000 - MAX_NAMED, 90_001 - MAX_NAMED)  # `message` may be missing as well
    assert problem["detail"].endswith(f"; and {problem['more_errors']} more")


@pytest.mark.parametrize("count", [MAX_NAMED - 1, MAX_NAMED, MAX_NAMED + 1, 100])
@pytest.mark.parametrize("padding", [0, LARGE_BYTES], ids=["small", "large"])
def test_the_count_is_right_around_the_bound(demo: Service, count: int, padding: int) -> None:
    body = json.dumps({"message": "x", **{f"k{index}": "y" * (padding // count) for index in range(count)}}).encode()
    problem = refused(demo, "/chat", body)
    assert [error["field"] for error in problem["errors"]] == [f"k{index}" for index in range(min(count, MAX_NAMED))]
    assert problem.get("more_errors", 0) == max(count - MAX_NAMED, 0)


@pytest.mark.parametrize("padding", [0, LARGE_BYTES], ids=["small", "large"])
@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("x" * 65, "x" * 64),
        ("x" * 10_000, "x" * 64),
        ("😀" * 65, "😀" * 64),
        ("a\0b", "a\ufffdb"),
        ("a\nb\x1b[31m", "a\ufffdb\ufffd[31m"),
        ("\u202eevil", "\ufffdevil"),
        ("", "body"),
    ],
)
def test_a_name_is_cut_and_printable(demo: Service, name: str, shown: str, padding: int) -> None:
    body = json.dumps({"message": "hi", name: "y" * padding}).encode()
    assert [error["field"] for error in refused(demo, "/chat", body)["errors"]] == [shown]


FILLERS = [b"[]", b"{}", b"1", b'""', b"1" * 50, b"-1e99", b"[[]]", b'{"a":1}']


@pytest.mark.parametrize("filler", FILLERS)
@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("/agent/run", "tools"),
        ("/agent/run", "query"),
        ("/agent/run", "max_cost_usd"),
        ("/chat", "message"),
        ("/chat", "user_id"),
        ("/chat", "unknown"),
    ],
)
def test_a_long_list_in_any_field_is_refused_in_few_words(demo: Service, path: str, field: str, filler: bytes) -> None:
    items = b",".join([filler] * (800_000 // (len(filler) + 1)))
    problem = refused(demo, path, b'{"%b":[%b]}' % (field.encode(), items))
    assert field in {error["field"].partition(".")[0] for error in problem["errors"]}
    assert str(800_000 // (len(filler) + 1)) not in problem["detail"]


@pytest.mark.parametrize("large", [False, True])
def test_large_and_small_bodies_are_refused_in_the_same_words(demo: Service, large: bool) -> None:
    body: dict[str, Any] = {"session_id": [1], "stream": {}, "tools": "clock", "other": None, "message": "a"}
    body["query"] = "b"
    body["max_iterations"] = [2] * (LARGE_BYTES if large else 1)
    problem = refused(demo, "/agent/run", json.dumps(body).encode())
    assert {error["field"]: error["problem"] for error in problem["errors"]} == {
        "session_id": "Input should be a valid string",
        "stream": "Input should be a valid boolean",
        "tools": "Input should be a valid array",
        "other": "Extra inputs are not permitted",
        "message": "Is another name of query; give one of the two",
        "max_iterations": "Input should be a valid integer",
    }


@pytest.mark.parametrize(("path", "extra"), [("/chat", "query"), ("/chat/stream", "query"), ("/agent/run", "message")])
def test_one_question_under_two_names_is_refused(demo: Service, path: str, extra: str) -> None:
    problem = problem_of(demo.ask("POST", path, {"message": "a", "query": "b"}), 422, "invalid-request")
    assert problem["errors"][0]["field"] == extra
    assert "give one of the two" in problem["detail"]


@pytest.mark.parametrize(
    "body",
    [
        b"[" + b"[]," * 300_000 + b"1]",
        b'{"message":[' + b"[]," * 300_000,
        b'{"message":' + b"[" * 500_000,
        b'{"message":"hi","x":"' + b"\xff" * 20_000 + b'"}',
        b'{"message":"' + rb"\ud800" * 5_000 + b'"}',
        b"1" * 800_000,
        b'"' + b"x" * 800_000 + b'"',
        b'{"message":"hi","max_iterations":' + b"1" * 800_000 + b"}",
        b"\0" * 800_000,
    ],
)
def test_a_large_body_that_is_no_such_object_is_refused_in_few_words(demo: Service, body: bytes) -> None:
    assert len(refused(demo, "/chat", body)["detail"]) < 500


def test_what_is_large_and_good_is_taken(demo: Service) -> None:
    body = json.dumps({"message": "x" * 10_000, "user_id": "ada"}, indent=30_000).encode()
    assert len(body) > LARGE_BYTES
    assert demo.client.post("/chat", content=body, headers=JSON).status_code == 200
    call = {"expression": "1+" * 10_000 + "1"}
    answer = demo.ask("POST", "/api/tools/calculator", call)
    assert answer.status_code == 200
    assert answer.json()["success"] is False


def test_repeated_keys_are_one(demo: Service) -> None:
    body = b'{"massage":"a",' + b'"message":"hi","massage":"a",' * 25_000 + b'"message":"hi"}'
    assert [error["field"] for error in refused(demo, "/chat", body)["errors"]] == ["massage"]


def test_ninety_thousand_arguments_of_a_tool_are_its_error(demo: Service) -> None:
    response = demo.client.post("/api/tools/calculator", content=MANY, headers=JSON)
    assert response.status_code == 200
    answer = response.json()
    assert answer["success"] is False
    assert "00000: unknown argument" in answer["error"]
    assert answer["error"].endswith(f"and {90_000 - 20} more")
    assert len(response.content) < MAX_ANSWER_BYTES


@pytest.mark.parametrize("length", [3_000, 30_000])
def test_long_paths_are_not_repeated_at_length(demo: Service, length: int) -> None:
    for method, path in (("GET", "/"), ("POST", "/api/tools/"), ("GET", "/sessions/"), ("DELETE", "/sessions/")):
        response = demo.ask(method, path + "x" * length, {} if method == "POST" else None)
        assert response.status_code in (404, 422)
        assert len(response.json()["detail"]) < 400
        assert len(response.content) < MAX_ANSWER_BYTES


@pytest.mark.parametrize("value", ["9" * 5_000, "-" + "9" * 30_000, "nan", "1e400", "x" * 30_000, "%00", "1%ff", ""])
@pytest.mark.parametrize("query", ["/usage?days=", "/sessions?limit=", "/sessions?before="])
def test_long_and_odd_numbers_in_a_query_are_refused(demo: Service, query: str, value: str) -> None:
    response = demo.ask("GET", query + value)
    problem = problem_of(response, 422, "invalid-request")
    assert len(problem["errors"]) == 1
    assert len(response.content) < MAX_ANSWER_BYTES


def test_a_query_of_thousands_of_fields_is_no_trouble(demo: Service) -> None:
    fields = "&".join(f"f{index}=1" for index in range(5_000))
    assert demo.ask("GET", f"/usage?{fields}").status_code == 200
    assert demo.ask("GET", "/usage?" + "&".join(["days=x"] * 5_000)).status_code == 422


def test_a_run_without_a_name_repeats_little_of_it(demo: Service) -> None:
    for field in ("model", "agent"):
        problem = problem_of(demo.chat("hi", **{field: "\U000e0001" * 256}), 404, "not-found")
        assert len(problem["detail"]) < 3_000


@pytest.mark.parametrize(
    ("model", "body"),
    [
        (ChatRequest, MANY),
        (AgentRunRequest, b'{"query":"hi","tools":[' + b"[]," * 270_000 + b"1]}"),
        (ChatRequest, b'{"message":[' + b"[]," * 270_000 + b"1]}"),
        (ChatRequest, b'{"unknown":[' + b"[]," * 270_000 + b"1]}"),
        (ToolArguments, b"[" + b"[]," * 270_000 + b"1]"),
    ],
    ids=range(5),
)
def test_a_refusal_of_830_kilobytes_takes_little_cpu(model: Any, body: bytes) -> None:
    read = Body(model).read
    assert min(_seconds(read, body) for _ in range(5)) < MAX_CPU_SECONDS


def test_a_tools_arguments_of_830_kilobytes_take_little_cpu_to_read() -> None:
    read = Body(ToolArguments).read
    assert min(_seconds(read, MANY, refused=False) for _ in range(5)) < MAX_CPU_SECONDS


@pytest.mark.parametrize("filler", FILLERS)
def test_a_long_list_of_a_tool_is_refused_in_few_words(demo: Service, filler: bytes) -> None:
    refused(demo, "/api/tools/calculator", b"[" + b",".join([filler] * (800_000 // (len(filler) + 1))) + b"]")


def _seconds(read: Callable[[bytes], Any], body: bytes, *, refused: bool = True) -> float:
    started = time.process_time()
    with pytest.raises(InvalidRequest) if refused else nullcontext():
        read(body)
    return time.process_time() - started
