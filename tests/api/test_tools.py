"""`/api/tools`: what the agent can do, and doing one of it by hand."""

from typing import Any

import pytest
from jsonschema import Draft202012Validator

from tests.service import Service, problem_of


def test_the_tools_are_listed_with_what_a_caller_has_to_know(demo: Service) -> None:
    response = demo.ask("GET", "/api/tools")
    assert response.status_code == 200
    tools = {tool["name"]: tool for tool in response.json()}
    assert tools.keys() == {"calculator", "clock"}
    for tool in tools.values():
        assert tool.keys() == {"name", "description", "parameters", "risk", "effect"}
        assert tool["description"]
        assert tool["risk"] in ("low", "medium", "high")
        Draft202012Validator.check_schema(tool["parameters"])
    assert "expression" in tools["calculator"]["parameters"]["properties"]


def test_a_tool_gives_its_result(demo: Service) -> None:
    response = demo.ask("POST", "/api/tools/calculator", {"expression": "6 * 7"})
    body = response.json()
    assert response.status_code == 200
    assert body.keys() == {"success", "result", "error"}
    assert (body["success"], body["error"]) == (True, None)
    assert "42" in str(body["result"])


def test_arguments_can_be_left_out_where_a_tool_needs_none(demo: Service) -> None:
    assert demo.ask("POST", "/api/tools/clock", {}).json()["success"] is True


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"expression": None},
        {"expression": 5},
        {"expression": "1", "more": 1},
        {"expression": "1/0"},
        {"": "1"},
        {"arguments": {"expression": "1"}},
    ],
)
def test_a_failure_of_the_tool_is_told_in_the_answer(demo: Service, arguments: dict[str, Any]) -> None:
    response = demo.ask("POST", "/api/tools/calculator", arguments)
    body = response.json()
    assert response.status_code == 200
    assert (body["success"], body["result"]) == (False, None)
    assert body["error"]
    assert "Traceback" not in body["error"]


@pytest.mark.parametrize("name", ["nothing", "Calculator", "calculator%20", "%00", "a%0Ab", "%F0%9F%91%8B", "x" * 3000])
def test_an_unknown_tool_is_not_found(demo: Service, name: str) -> None:
    body = problem_of(demo.ask("POST", f"/api/tools/{name}", {}), 404, "not-found")
    assert len(body["detail"]) < 1000


@pytest.mark.parametrize("body", [[], "x", 5, True, None, [{"expression": "1"}]])
def test_a_body_that_is_no_object_is_refused(demo: Service, body: Any) -> None:
    response = demo.client.post("/api/tools/calculator", json=body)
    if body is None:
        response = demo.client.post(
            "/api/tools/calculator", content=b"null", headers={"Content-Type": "application/json"}
        )
    problem_of(response, 422, "invalid-request")
