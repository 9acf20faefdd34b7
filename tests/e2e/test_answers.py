"""What `make kind-up` leaves behind: answers from a real Ollama, traced and counted."""

import json
import re
import shlex
import signal
import subprocess
import time
import urllib.parse
import uuid
from typing import Any

import pytest

from tests.e2e.cluster import (
    INSTALLED,
    ROOT,
    CommandError,
    Release,
    eventually,
    fetch,
    get,
    helm,
    kubectl,
    run,
)

KIND = Release(INSTALLED, INSTALLED)


def test_the_pods_run_where_restricted_pod_security_is_enforced() -> None:
    namespace = get("namespace", INSTALLED)
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    with pytest.raises(CommandError, match='violates PodSecurity "restricted:latest"'):
        kubectl("run", "refused", "--image=agent-api:dev", "--dry-run=server", namespace=INSTALLED)
    assert KIND.ready_pods()


def test_the_sidecar_started_before_the_pull_and_the_pull_before_the_service() -> None:
    status = KIND.pods()[0]["status"]
    ollama, pull = status["initContainerStatuses"]
    assert ollama["state"]["running"]["startedAt"] <= pull["state"]["terminated"]["startedAt"]
    service = next(one for one in status["containerStatuses"] if one["name"] == "agent-api")
    assert pull["state"]["terminated"]["finishedAt"] <= service["state"]["running"]["startedAt"]
    assert "model qwen2.5:0.5b: " in KIND.logs("pull-models")


def test_chat_is_answered_by_ollama(api: str) -> None:
    answer = json.loads(fetch(f"{api}/chat", {"message": "What is 6 * 7?"}))
    assert answer["model"] == "ollama/qwen2.5:0.5b"
    assert answer["answer"]
    assert answer["usage"]["output_tokens"] > 0


def test_a_stream_is_complete(api: str) -> None:
    lines = fetch(f"{api}/chat/stream", {"message": "Tell me something."}).strip().splitlines()
    assert lines[-1] == "data: [DONE]"
    assert "event: token" in lines


def test_an_agent_run_is_answered(api: str) -> None:
    answer = json.loads(fetch(f"{api}/agent/run", {"query": "What is 6 * 7?"}))
    assert answer["answer"]
    assert answer["iterations"] >= 1


def test_a_session_is_kept_in_valkey(api: str) -> None:
    session = f"e2e-{uuid.uuid4()}"
    first = json.loads(fetch(f"{api}/chat", {"message": "Hello", "session_id": session}))
    assert first["degraded"] == []
    history = json.loads(fetch(f"{api}/sessions/{session}"))
    assert "Hello" in json.dumps(history)
    keys = kubectl("exec", "valkey-0", "--", "valkey-cli", "keys", f"*{session}*", namespace="platform")
    assert session in keys


def test_the_trace_of_an_answer_is_in_jaeger_with_its_spans_in_order(api: str, jaeger: str) -> None:
    answer = json.loads(fetch(f"{api}/chat", {"message": "Hello"}))

    def chain() -> list[str] | None:
        trace = json.loads(fetch(f"{jaeger}/api/traces/{answer['trace_id']}"))["data"][0]
        spans = {span["spanID"]: span for span in trace["spans"]}
        parents = {
            span["spanID"]: next((r["spanID"] for r in span["references"] if r["refType"] == "CHILD_OF"), None)
            for span in spans.values()
        }
        at: str | None = next(i for i, span in spans.items() if span["operationName"].startswith("chat "))
        names = []
        while at is not None and at in spans:
            names.append(spans[at]["operationName"])
            at = parents[at]
        return names[::-1] if len(names) >= 3 else None

    names = eventually("the trace is in Jaeger", 40, chain)
    assert re.fullmatch(r"invoke_agent .+", names[-3])
    assert names[-2:] == ["agent.iteration", "chat qwen2.5:0.5b"]
    process = json.loads(fetch(f"{jaeger}/api/traces/{answer['trace_id']}"))["data"][0]["processes"]["p1"]
    tags = {tag["key"]: tag["value"] for tag in process["tags"]}
    assert process["serviceName"] == "agent-api"
    assert tags["k8s.pod.name"] in [pod["metadata"]["name"] for pod in KIND.pods()]
    assert tags["k8s.namespace.name"] == INSTALLED


def ask(prometheus: str, query: str) -> float | None:
    """The value of a query that has one series; None when it has none."""
    url = f"{prometheus}/api/v1/query?{urllib.parse.urlencode({'query': query})}"
    series: list[Any] = json.loads(fetch(url))["data"]["result"]
    return float(series[0]["value"][1]) if series else None


def test_answers_are_counted_in_prometheus(api: str, prometheus: str) -> None:
    requests = f'sum(agent_requests_total{{namespace="{INSTALLED}",endpoint="/chat",status="200"}})'
    tokens = f'sum(agent_tokens_total{{namespace="{INSTALLED}",type="output"}})'
    before = eventually("the pods are scraped", 40, lambda: ask(prometheus, f'sum(up{{namespace="{INSTALLED}"}})'))
    assert before >= 1
    count, spent = ask(prometheus, requests) or 0, ask(prometheus, tokens) or 0
    answer = json.loads(fetch(f"{api}/chat", {"message": "Hello"}))
    eventually("the request is counted", 30, lambda: (ask(prometheus, requests) or 0) >= count + 1)
    output = answer["usage"]["output_tokens"]
    eventually("its tokens are counted", 30, lambda: (ask(prometheus, tokens) or 0) >= spent + output)


def test_the_metrics_are_not_on_the_port_of_the_api(api: str) -> None:
    with pytest.raises(OSError, match="404"):
        fetch(f"{api}/metrics")


def test_helm_test_passes() -> None:
    said = helm("test", INSTALLED, namespace=INSTALLED)
    assert said.count("Phase:          Succeeded") == 2


def test_the_commands_of_the_notes_work_when_pasted() -> None:
    notes = helm("get", "notes", INSTALLED, namespace=INSTALLED)
    commands = [line.strip() for line in notes.splitlines() if line.startswith("  ")]
    assert sum(line.startswith("curl") for line in commands) == 2
    script = "set -euo pipefail\ntrap 'kill %1' EXIT\n" + "\n".join(
        line for line in commands if not line.startswith("helm test")
    )
    run("kubectl", "config", "use-context", "kind-agent-api")
    said = run("bash", "-c", script)
    assert "successfully rolled out" in said
    assert "model qwen2.5:0.5b" in said
    assert '"answer"' in said
    assert "data: [DONE]" in said


def test_make_port_forward_prints_lines_that_work() -> None:
    with subprocess.Popen([ROOT / "scripts" / "kind-port-forward"], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        printed = ""
        while "Prometheus: " not in printed:
            printed += process.stdout.readline()
        time.sleep(2)
        lines = [line.strip() for line in printed.splitlines() if line.startswith("  curl")]
        try:
            answers = [run(*shlex.split(line)) for line in lines]
        finally:
            process.send_signal(signal.SIGTERM)
    assert len(answers) == 5
    assert "answer" in json.loads(answers[0])
    assert answers[1].strip().endswith("data: [DONE]")
    assert json.loads(answers[2])["iterations"] >= 1
    assert "agent-api" in json.loads(answers[3])["data"]
    assert json.loads(answers[4])["status"] == "success"
