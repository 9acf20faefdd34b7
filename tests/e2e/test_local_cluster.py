"""`make kind-up` and `make port-forward` as a person meets them: what they show, heal and leave alone."""

import os
import re
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.e2e.cluster import CHART, CONTEXT, INSTALLED, ROOT, eventually, fetch, get, run

LONGEST_SILENCE = 5.0
OTHER_CONTEXT = "somebody-elses"


def kind_up() -> tuple[list[str], float]:
    """The lines that a second `make kind-up` shows, and its longest silence in seconds."""
    lines: list[str] = []
    longest, last = 0.0, time.monotonic()
    with subprocess.Popen(
        ["make", "kind-up"], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        assert process.stdout
        for line in process.stdout:
            longest, last = max(longest, time.monotonic() - last), time.monotonic()
            lines.append(line.rstrip())
    assert process.returncode == 0, lines
    return lines, longest


@pytest.fixture
def another_context() -> Iterator[str]:
    """A current context that is not the local cluster's."""
    before = run("kubectl", "config", "current-context").strip()
    run("kubectl", "config", "set-context", OTHER_CONTEXT, "--cluster", CONTEXT)
    run("kubectl", "config", "use-context", OTHER_CONTEXT)
    yield OTHER_CONTEXT
    run("kubectl", "config", "use-context", before)
    run("kubectl", "config", "delete-context", OTHER_CONTEXT)


def kill_an_upgrade_midway() -> None:
    """Leaves the release as a helm does that was ended by SIGKILL while it waited."""
    before = latest()
    values = ["--values", str(CHART / "values-kind.yaml"), "--set", "image.tag=is-not-there"]
    upgrade = ["upgrade", "agent-api", str(CHART), "--namespace", INSTALLED, *values, "--wait", "--timeout", "5m"]
    with subprocess.Popen(["helm", "--kube-context", CONTEXT, *upgrade], stdout=subprocess.DEVNULL) as helm:
        eventually("the upgrade has begun", 30, lambda: latest() > before and pending())
        helm.kill()


def revisions() -> dict[int, str]:
    """The release's revisions that helm still knows, the last ten of them, with their states."""
    secrets = get("secrets", "--selector", "owner=helm,name=agent-api", namespace=INSTALLED)["items"]
    labels = [secret["metadata"]["labels"] for secret in secrets]
    return {int(label["version"]): label["status"] for label in labels}


def latest() -> int:
    return max(revisions())


def pending() -> bool:
    return any(status.startswith("pending") for status in revisions().values())


def test_kind_up_heals_a_killed_helm_shows_what_it_waits_for_and_moves_no_context(another_context: str) -> None:
    kill_an_upgrade_midway()
    assert pending()
    lines, silence = kind_up()
    print(f"\nlongest silence: {silence:.1f} s")
    assert any("a helm that was killed" in line for line in lines), lines
    assert any(line.strip().startswith("pod agent-api-") for line in lines), lines
    assert silence <= LONGEST_SILENCE + 1, lines  # a second for a busy machine
    assert not pending()
    assert run("kubectl", "config", "current-context").strip() == another_context
    curl = next(line.strip() for line in reversed(lines) if "curl" in line)
    with port_forward():
        assert '"answer"' in run("bash", "-c", curl)


def test_port_forward_says_which_port_is_taken_and_how_to_choose_another() -> None:
    with port_forward():
        second = subprocess.run(["make", "port-forward"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert second.returncode != 0
    assert "port 8000 is taken on this machine. Choose another: make port-forward API_PORT=8001" in second.stderr
    assert "Forwarding" not in second.stdout


def test_port_forward_takes_ports_by_variables() -> None:
    with port_forward(API_PORT="8811", JAEGER_PORT="8812", PROMETHEUS_PORT="8813") as shown:
        assert "http://127.0.0.1:8811/chat" in shown
        assert "alive" in fetch("http://127.0.0.1:8811/live")
        assert "data" in fetch("http://127.0.0.1:8812/api/services")
        assert "success" in fetch("http://127.0.0.1:8813/api/v1/query?query=up")


@contextmanager
def port_forward(**ports: str) -> Iterator[str]:
    """What `make port-forward` shows, while it runs."""
    with subprocess.Popen(
        ["bash", "scripts/kind-port-forward"],
        cwd=ROOT,
        env={**os.environ, **ports},
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout
        shown = ""
        for line in process.stdout:
            shown += line
            if re.match(r"Jaeger: ", line):
                break
        try:
            assert shown.startswith("Forwarding"), shown
            yield shown
        finally:
            process.terminate()
