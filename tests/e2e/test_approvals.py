"""A tool call that a person decides on: asked for at one pod, approved with another key, made at the other pod, and all
of it on record."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app.access.api_keys import new_secret
from tests.access.keys import line
from tests.e2e.cluster import ROOT, SCRATCH, Release, eventually, flush, forwarded, kubectl, run

DATABASE = "6"
ADA, BOB = new_secret(), new_secret()
KEYS = line(ADA, scopes=["chat", "runs", "approvals", "tools:*"]) + line(BOB, user="bob", scopes=["approvals"])


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Release]:
    """Two pods of the API, which work on runs themselves."""
    folder: Path = tmp_path_factory.mktemp("secrets")
    (folder / "keys.jsonl").write_text(KEYS)
    subprocess.run([sys.executable, "-m", "app", "audit", "keygen", str(folder / "audit.pem")], cwd=ROOT, check=True)
    for secret, file in (("people", "keys.jsonl"), ("audit", "audit.pem")):
        kubectl("create", "secret", "generic", secret, f"--from-file={folder / file}")
    flush(DATABASE)
    one = Release("approvals")
    one.install(
        {
            "image": {"tag": "dev"},
            "replicaCount": 2,
            "redis": {"url": f"redis://valkey.platform:6379/{DATABASE}"},
            "auth": {"mode": "api-key", "apiKeys": {"existingSecret": "people"}},
            "auditKey": {"existingSecret": "audit"},
            "auditHeadSeconds": 1,
            "agents": {
                "bursar": {"prompt": "Do sums.", "tools": ["calculator"], "approvals": {"tools": ["calculator"]}}
            },
        }
    )
    yield one
    one.uninstall()
    kubectl("delete", "secret", "people", "audit")


def curl(url: str, key: str, body: dict[str, Any] | None = None) -> tuple[int, Any]:
    """The status and the JSON, as anybody sees them at a terminal."""
    sent = [] if body is None else ["--json", json.dumps(body)]
    told = run("curl", "--silent", "--show-error", "--header", f"Authorization: Bearer {key}",
               "--write-out", "\n%{http_code}", *sent, url)  # fmt: skip
    text, _, status = told.rpartition("\n")
    return int(status), json.loads(text)


def test_a_call_is_approved_with_another_key_and_made_at_the_other_pod(release: Release) -> None:
    first, second = release.ready_pods()
    with forwarded(second, 8000, SCRATCH, "pod") as there:
        with forwarded(first, 8000, SCRATCH, "pod") as here:
            status, waiting = curl(f"{here}/chat", ADA, {"message": "What is 6 * 7?", "agent": "bursar"})
        assert (status, waiting["status"]) == (202, "waiting"), waiting
        kubectl("delete", "pod", first, "--grace-period", "0", "--force")
        _, listed = curl(f"{there}/approvals?status=pending", BOB)
        (approval,) = listed["approvals"]
        assert (approval["run_id"], approval["arguments"]) == (waiting["run_id"], {"expression": "6 * 7"})
        url = f"{there}/approvals/{approval['approval_id']}"
        assert curl(url, ADA, {"decision": "approve"})[0] == 403
        assert curl(url, BOB, {"decision": "yes"})[0] == 422
        decided_at = time.monotonic()
        assert curl(url, BOB, {"decision": "approve", "reason": "It is a sum."})[0] == 200
        assert curl(url, BOB, {"decision": "deny"})[0] == 409
        answer = eventually("the answer", 30, lambda: curl(f"{there}/runs/{waiting['run_id']}", ADA)[1]["answer"])
        print(f"\nanswered {time.monotonic() - decided_at:.2f} s after the decision: {answer['answer']}")
        assert "42" in answer["answer"]
        assert [call["status"] for call in answer["tool_calls"]] == ["ok"]
    assert f'"run_id":"{waiting["run_id"]}"' in kubectl("logs", second)
    check_record(second, waiting["run_id"])


def check_record(pod: str, run_id: str) -> None:
    """Who asked, who was refused, who approved, and that the call was made; and that nobody has changed it since."""

    def audit(*arguments: str) -> str:
        return kubectl("exec", pod, "--", "python", "-m", "app", "audit", *arguments)

    entries = [json.loads(record)["entry"] for record in audit("export").splitlines()]
    told = [(one["action"], one["decision"], one["user"]) for one in entries if one.get("run_id") == run_id]
    print(*told, sep="\n")
    approvals = [(decision, user) for action, decision, user in told if action == "approval"]
    assert approvals[:3] == [("asked", "ada"), ("refused", "ada"), ("approved", "bob")]
    time.sleep(2)  # for the last head
    print(verdict := audit("verify"))
    assert "holds together" in verdict
