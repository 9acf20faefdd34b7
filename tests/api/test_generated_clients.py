"""Clients that generators make of the OpenAPI document: they compile, their types say what is true, and they work."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.service import Service

SECONDS = 110
NODE_PACKAGES = ("openapi-typescript@7.13.0", "typescript@5.9.3")

CALLS = """
import json, sys
from agent_api_client import Client
from agent_api_client.api.agent import agent_run
from agent_api_client.api.chat import chat
from agent_api_client.api.health import live
from agent_api_client.api.sessions import delete_session, get_session, list_sessions
from agent_api_client.api.tools import call_tool, list_tools
from agent_api_client.api.usage import usage
from agent_api_client.models import (
    AgentRunRequest, ChatAnswer, ChatRequest, Problem, ReasoningEvent, RunStartedEvent, TokenEvent, ToolArguments,
    ToolFinishedEvent, ToolStartedEvent, UsageReportedEvent,
)

client = Client(base_url=sys.argv[1])
user = "generated@example.com"
said = chat.sync(client=client, body=ChatRequest(message="What is 6 * 7?", session_id="generated", user_id=user))
assert isinstance(said, ChatAnswer), said
assert "42" in said.answer and said.usage.input_tokens > 0 and said.finish_reason == "stop"
ran = agent_run.sync(client=client, body=AgentRunRequest(query="What is 6 * 7?", tools=["calculator"]))
assert [call.name for call in ran.tool_calls] == ["calculator"]
assert ran.tool_calls[0].arguments.to_dict() == {"expression": "6 * 7"}
assert "42" in ran.tool_calls[0].result and ran.tool_calls[0].error is None
held = get_session.sync("generated", client=client, user_id=user)
assert [message.role for message in held.turns[0].messages][0] == "user"
assert [message.role for message in held.turns[0].messages][-1] == "assistant"
asked = [message for turn in held.turns for message in turn.messages if message.tool_calls]
assert asked[0].tool_calls[0].name == "calculator"
assert [each.session_id for each in list_sessions.sync(client=client, user_id=user).sessions] == ["generated"]
assert delete_session.sync_detailed("generated", client=client, user_id=user).status_code == 204
assert isinstance(get_session.sync("generated", client=client, user_id=user), Problem)
assert {tool.name for tool in list_tools.sync(client=client)} >= {"calculator", "clock"}
body = ToolArguments.from_dict({"expression": "1/0"})
assert call_tool.sync("calculator", client=client, body=body).success is False
assert live.sync(client=client).status == "alive"
assert usage.sync(client=client, user_id=user, days=1).tokens > 0
assert TokenEvent.from_dict({"text": "a"}).text == ReasoningEvent.from_dict({"text": "a"}).text
refused = chat.sync(client=client, body=ChatRequest(message=""))
assert isinstance(refused, Problem) and refused.status == 422 and refused.errors[0].to_dict()["field"] == "message"
print("worked")
"""

TYPES = """
import type { components, operations, paths } from "./api";
type Schemas = components["schemas"];

export const least: Schemas["ChatRequest"] = { message: "hi" };
export const whole: Schemas["ChatRequest"] = {
  message: "hi", session_id: "a", user_id: "ada@example.com", model: null, agent: "default", stream: true,
};
// @ts-expect-error without a message there is nothing to ask
export const empty: Schemas["ChatRequest"] = { stream: true };
// @ts-expect-error a typing mistake
export const wrong: Schemas["ChatRequest"] = { message: "hi", mesage: "hi" };
export const task: Schemas["AgentRunRequest"] = { query: "hi", tools: ["clock"], stream: false };

type Answer = operations["chat"]["responses"]["200"]["content"]["application/json"];
export const text = (answer: Answer): string => answer.answer + answer.usage.input_tokens.toFixed();
type Twin = operations["api_chat"]["responses"]["200"]["content"]["application/json"];
export const twin = (answer: Twin): Answer => answer;
export const events = (body: operations["chat_stream"]["responses"]["200"]["content"]["text/event-stream"]): string =>
  body;
export const called = (message: Schemas["SessionMessage"]): string | undefined => message.tool_calls?.[0]?.name;
// @ts-expect-error it is there for some messages only
export const always = (message: Schemas["SessionMessage"]): string => message.tool_calls[0].name;
export const told = (event: Schemas["ToolFinishedEvent"]): string | null => event.result ?? event.error;
export const piece = (event: Schemas["TokenEvent"] | Schemas["ReasoningEvent"]): string => event.text;
export const listed: paths["/sessions"]["get"]["parameters"]["query"] = { limit: 10 };
export type Named = [
  operations["agent_run"], operations["list_tools"], operations["call_tool"], operations["get_session"],
  operations["delete_session"], operations["list_sessions"], operations["usage"], operations["admin_usage"],
  operations["live"], operations["ready"], operations["health"], operations["api_chat_stream"],
];
"""


@pytest.fixture(scope="module")
def document(demo: Service) -> str:
    return demo.ask("GET", "/openapi.json").text


def run(folder: Path, *command: str) -> str:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=SECONDS, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_a_python_client_calls_the_service(demo: Service, document: str, tmp_path: Path) -> None:
    (tmp_path / "openapi.json").write_text(document)
    (tmp_path / "config.yaml").write_text("package_name_override: agent_api_client\npost_hooks: []\n")
    generator = Path(sys.executable).with_name("openapi-python-client")
    arguments = ("--path", "openapi.json", "--meta", "none", "--config", "config.yaml", "--fail-on-warning")
    run(tmp_path, str(generator), "generate", *arguments)
    (tmp_path / "calls.py").write_text(CALLS)
    run(tmp_path, sys.executable, "-m", "compileall", "-q", "agent_api_client")
    assert "worked" in run(tmp_path, sys.executable, "-W", "error", "calls.py", demo.url)


@pytest.mark.skipif(shutil.which("npx") is None, reason="needs Node with npx: openapi-typescript comes from npm")
def test_a_typescript_client_compiles_and_its_types_are_true(document: str, tmp_path: Path) -> None:
    (tmp_path / "openapi.json").write_text(document)
    (tmp_path / "check.ts").write_text(TYPES)
    packages = [part for package in NODE_PACKAGES for part in ("-p", package)]
    generate = "openapi-typescript openapi.json -o api.ts && tsc --noEmit --strict --noUncheckedIndexedAccess check.ts"
    run(tmp_path, "npx", "--yes", *packages, "-c", generate)


def test_no_schema_of_the_document_is_open_to_anything(document: str) -> None:
    def untyped(schema: Any) -> bool:
        return not schema.keys() & {"type", "$ref", "anyOf", "enum", "allOf"}

    schemas = json.loads(document)["components"]["schemas"]
    fields = [
        (name, field, each) for name, model in schemas.items() for field, each in model.get("properties", {}).items()
    ]
    assert [(name, field) for name, field, each in fields if untyped(each)] == [("ToolAnswer", "result")]
    assert not any("oneOf" in model for model in schemas.values())
