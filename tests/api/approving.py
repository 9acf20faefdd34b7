"""A service with agents whose tools wait for people, and the people."""

import asyncio
import time
from pathlib import Path
from typing import Any

from app.access.api_keys import new_secret
from tests.access.keys import line
from tests.api.serving import Service

ADA, BOB, CLEO, DAN, EVE, ROOT = (new_secret() for _ in range(6))
"""Ada asks, of team `a`, and may approve; Bob approves, of no team; Cleo likewise, of team `a`; Dan of team `d`; Eve
asks, without the scope `runs`; Root is an admin, of team `d`."""

TIMES = "What is 6 * 7?"
BOTH = "What is 6 * 7, and what time is it in Paris?"
"""Which the demo model calls a tool for, or two."""

SECONDS = 10.0

_AGENTS = {
    "careful": "prompt: Be kind.\ntools: [calculator, clock]\napprovals:\n  tools: [calculator, clock]\n",
    "trusting": "prompt: Be kind.\ntools: [calculator]\napprovals:\n  tools: [calculator]\n  requester: true\n",
    "half": "prompt: Be kind.\ntools: [calculator, clock]\napprovals:\n  tools: [clock]\n",
}


def settings(folder: Path) -> dict[str, Any]:
    agents = folder / "agents"
    agents.mkdir()
    for name, text in _AGENTS.items():
        (agents / f"{name}.yaml").write_text(text)
    keys = folder / "keys.jsonl"
    keys.write_text(
        line(ADA, team="a", scopes=["chat", "runs", "approvals", "tools:*"])
        + line(BOB, user="bob", scopes=["approvals"])
        + line(CLEO, user="cleo", team="a", scopes=["approvals"])
        + line(DAN, user="dan", team="d", scopes=["approvals"])
        + line(EVE, user="eve", scopes=["chat", "tools:*"])
        + line(ROOT, user="root", team="d", scopes=["approvals", "admin"])
    )
    return {"auth": "api-key", "api_keys_file": keys, "agents_dir": agents, "refused_per_minute": "off"}


async def pause(service: Service, key: str | None = ADA, agent: str = "careful", **fields: Any) -> dict[str, Any]:
    """What a plain request is answered with whose run waits."""
    body = {"message": TIMES, "agent": agent, **fields}
    status, waiting, _ = await service.ask("POST", "/chat", key, body)
    assert status == 202, waiting
    return dict(waiting)


async def approval_of(service: Service, **fields: Any) -> str:
    """The id of a call that waits."""
    return str((await pause(service, **fields))["approvals"][0]["approval_id"])


async def decide(
    service: Service, approval_id: str, decision: str = "approve", key: str | None = BOB, **fields: Any
) -> tuple[int, Any]:
    status, body, _ = await service.ask("POST", f"/approvals/{approval_id}", key, {"decision": decision, **fields})
    return status, body


async def read(service: Service, run_id: str, key: str | None = ADA) -> dict[str, Any]:
    status, body, _ = await service.ask("GET", f"/runs/{run_id}", key)
    assert status == 200, body
    return dict(body)


async def until(service: Service, run_id: str, *statuses: str, key: str | None = ADA) -> dict[str, Any]:
    end = time.monotonic() + SECONDS
    while (run := await read(service, run_id, key))["status"] not in statuses:
        assert time.monotonic() < end, run
        await asyncio.sleep(0.01)
    return run


async def over(service: Service, run_id: str, key: str | None = ADA) -> dict[str, Any]:
    return await until(service, run_id, "succeeded", "failed", "cancelled", "expired", key=key)
