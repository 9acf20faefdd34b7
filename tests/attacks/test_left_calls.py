"""Someone opens calls with long prompts and leaves at once: they pay for all of it, and others can go on."""

import time
from pathlib import Path

from app.access.api_keys import new_secret
from tests.access.keys import line
from tests.api.raw import connected
from tests.conftest import Serve
from tests.models.servers import NO_ANSWER
from tests.service import Service
from tests.upstream import MODEL, Upstream, says_whole

PROMPT = "why? " * 20_000
PROMPT_TOKENS = len(PROMPT) // 4
CALLS = 8
GLOBAL_TOKENS = 190_000
MALLORY, BOB = new_secret(), new_secret()


def open_and_leave(service: Service, upstream: Upstream, path: str) -> None:
    """Once the provider has the call. A run that goes on holds what it may use: returns when it is over."""
    body = b'{"message":"%b"}' % PROMPT.encode()
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nAuthorization: Bearer {MALLORY}\r\n"
    before = len(upstream.calls)
    with connected(service.port) as connection:
        connection.sendall(head.encode() + b"Content-Length: %d\r\n\r\n" % len(body) + body)
        upstream.wait_for_calls(before + 1)
    end = time.monotonic() + 10
    while len(service.log("agent.request.failed")) <= before:
        assert time.monotonic() < end, "the run does not end"
        time.sleep(0.01)


def spent(service: Service, key: str, budget: str) -> int:
    found = service.ask("GET", "/usage", authorization=f"Bearer {key}").json()["budgets"]
    return next((int(one["tokens"]["spent"]) for one in found if one["budget"] == budget), 0)


def test_calls_that_are_left_do_not_use_up_what_is_others(serve: Serve, upstream: Upstream, tmp_path: Path) -> None:
    keys = tmp_path / "keys.jsonl"
    keys.write_text(line(MALLORY, user="mallory", team="all") + line(BOB, user="bob", team="all"))
    service = serve(
        models=MODEL,
        openai_base_url=f"{upstream.url}/v1",
        unknown_price="allow",
        auth="api-key",
        api_keys_file=keys,
        max_message_chars=len(PROMPT),
        max_run_tokens=2 * len(PROMPT),
        budget_user_day_tokens=CALLS * PROMPT_TOKENS * 2,
        budget_team_month_tokens=GLOBAL_TOKENS,
        budget_global_day_tokens=GLOBAL_TOKENS,
    )
    upstream.will(NO_ANSWER)
    for number in range(CALLS):
        open_and_leave(service, upstream, ("/chat", "/chat/stream")[number % 2])
    full = CALLS * PROMPT_TOKENS
    end = time.monotonic() + 10
    while spent(service, MALLORY, "user") < full:
        assert time.monotonic() < end, "mallory does not pay"
        time.sleep(0.05)
    assert full > GLOBAL_TOKENS
    assert spent(service, BOB, "team") < GLOBAL_TOKENS / 2
    upstream.will(says_whole("Because."))
    answer = service.ask("POST", "/chat", {"message": PROMPT}, authorization=f"Bearer {BOB}")
    assert (answer.status_code, answer.json().get("answer")) == (200, "Because."), answer.text
