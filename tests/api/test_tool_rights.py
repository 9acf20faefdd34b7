"""What callers and agents may do with tools: only what both may, and nothing by hand that a person has to approve."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from app.access.api_keys import new_secret
from tests.access.keys import line
from tests.packages import write_package
from tests.service import Service, problem_of
from tests.upstream import MODEL, Upstream, asks, says_whole

SOURCE = '''
from app.tools import tool
from app.tools.rules import Under


@tool(effect="read", rules={"path": Under("/srv")})
async def look(path: str) -> str:
    """Looks."""
    return f"looked at {path}"


@tool(risk="high")
async def pay(amount: int) -> str:
    """Pays."""
    return f"paid {amount}"


@tool
async def note(text: str) -> str:
    """Notes."""
    return "noted"


@tool
async def unlisted() -> str:
    """Is nobody's."""
    return "never"


@tool(isolation="process", effect="read")
async def apart() -> list[str]:
    """Runs in a process of its own."""
    import os

    return sorted(os.environ)
'''
AGENTS = {
    "bold": {"prompt": "x", "tools": ["pay"], "approvals": {"risk": "never"}},
    "asking": {"prompt": "x", "tools": ["note"], "approvals": {"tools": ["note"]}},
    "inner": {"prompt": "x", "tools": ["clock"], "public": False},
}
SCOPES = {
    "plain": ["chat", "tools:*"],
    "narrow": ["chat", "tools:look"],
    "trusted": ["chat", "tools:*", "agents:*"],
}


KEYS = {name: new_secret() for name in SCOPES}


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, _upstream: Upstream) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("rights")
    (folder / "agents").mkdir()
    for name, agent in AGENTS.items():
        (folder / "agents" / f"{name}.yaml").write_text(json.dumps(agent))
    keys = [line(KEYS[name], name=name, user=name, scopes=scopes) for name, scopes in SCOPES.items()]
    (folder / "keys.jsonl").write_text("".join(keys))
    made = Service(
        folder,
        models=MODEL,
        openai_base_url=f"{_upstream.url}/v1",
        unknown_price="allow",
        auth="api-key",
        api_keys_file=folder / "keys.jsonl",
        agents_dir=folder / "agents",
        tools="look,apart",
        pythonpath=write_package(folder / "packages", "mine", SOURCE),
    )
    yield made
    made.end()


def ask(service: Service, key: str, method: str, path: str, body: Any = None) -> Any:
    return service.client.request(method, path, json=body, headers={"Authorization": f"Bearer {KEYS[key]}"})


@pytest.mark.parametrize(
    ("key", "names"),
    [("plain", ["apart", "look", "note", "pay"]), ("trusted", ["apart", "clock", "look", "note", "pay"])],
)
def test_the_list_has_the_tools_of_the_agents_that_the_caller_may_ask(
    service: Service, key: str, names: list[str]
) -> None:
    tools = {tool["name"]: tool for tool in ask(service, key, "GET", "/api/tools").json()}
    assert sorted(tools) == names
    assert (tools["look"]["effect"], tools["pay"]["effect"], tools["pay"]["risk"]) == ("read", "once", "high")


@pytest.mark.parametrize("name", ["unlisted", "calculator", "http_get", "clock"])
def test_a_tool_of_no_agent_that_the_caller_may_ask_is_not_there(service: Service, name: str) -> None:
    problem_of(ask(service, "plain", "POST", f"/api/tools/{name}", {}), 404, "not-found")


def test_by_hand_a_tool_takes_the_scope_and_keeps_to_its_rules(service: Service) -> None:
    assert ask(service, "narrow", "POST", "/api/tools/look", {"path": "/srv/a"}).json()["result"] == "looked at /srv/a"
    problem_of(ask(service, "narrow", "POST", "/api/tools/apart", {}), 403, "forbidden")
    body = ask(service, "plain", "POST", "/api/tools/look", {"path": "/etc/passwd"}).json()
    assert body["success"] is False
    assert "path: is not below /srv" in body["error"]
    assert ask(service, "trusted", "POST", "/api/tools/clock", {}).json()["success"] is True


def test_what_a_person_has_to_approve_is_not_called_by_hand(service: Service) -> None:
    problem = problem_of(ask(service, "plain", "POST", "/api/tools/note", {"text": "x"}), 403, "forbidden")
    assert "has a person approve each call of note. So it is not called by hand" in problem["detail"]
    assert ask(service, "plain", "POST", "/api/tools/pay", {"amount": 1}).json()["result"] == "paid 1"  # as of `bold`


def test_a_tool_in_a_process_of_its_own_has_nothing_of_the_service(service: Service) -> None:
    found = ask(service, "plain", "POST", "/api/tools/apart", {}).json()
    assert set(found["result"]) <= {"PATH", "LANG", "TZ", "LC_CTYPE"}


def test_a_run_has_what_its_agent_and_its_caller_may_do(service: Service, upstream: Upstream) -> None:
    for key, names in (("plain", ["look", "apart"]), ("narrow", ["look"])):
        upstream.will(says_whole("ok"))
        ask(service, key, "POST", "/agent/run", {"query": "go"})
        assert [tool["function"]["name"] for tool in upstream.calls[-1].body["tools"]] == names


def test_a_request_cannot_have_a_tool_that_its_agent_has_not(service: Service) -> None:
    body = {"query": "go", "tools": ["look", "note"]}
    problem = problem_of(ask(service, "trusted", "POST", "/agent/run", body), 404, "not-found")
    assert problem["detail"] == "The agent 'default' has no tool 'note'. Tools that it has: look, apart."


def test_a_call_of_a_tool_that_the_run_has_not_is_not_made(service: Service, upstream: Upstream) -> None:
    upstream.will(asks(("unlisted", {}), ("pay", {"amount": 5})), says_whole("sorry"))
    body = ask(service, "trusted", "POST", "/agent/run", {"query": "go"}).json()
    assert body["answer"] == "sorry"
    assert all(call["status"] == "error" for call in body["tool_calls"])


def test_a_broken_rule_is_told_to_the_model_in_a_run(service: Service, upstream: Upstream) -> None:
    upstream.will(asks(("look", {"path": "/srv/../etc/passwd"})), says_whole("sorry"))
    body = ask(service, "plain", "POST", "/agent/run", {"query": "go"}).json()
    assert body["tool_calls"][0]["status"] == "error"
    assert "is not below /srv" in upstream.calls[-1].body["messages"][-1]["content"]
