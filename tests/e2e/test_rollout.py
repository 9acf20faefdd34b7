"""A rollout loses nothing: no request fails and no stream is cut while pods are replaced under load."""

import contextlib
import subprocess
from collections.abc import Callable, Iterator

from tests.e2e.cluster import CONTEXT, SCRATCH, Release, eventually, kubectl
from tests.e2e.conftest import Load

PLAIN_PER_SECOND = 50
OPEN_STREAMS = 30


def test_a_restart_and_a_deleted_pod_lose_nothing(
    release: Callable[[str], Release], slow_model: str, load: Callable[..., Load]
) -> None:
    one = release("rollout")
    one.install(
        {
            "image": {"tag": "dev"},
            "replicaCount": 2,
            "models": ["openai/slow"],
            "openai": {"baseUrl": slow_model},
            "redis": {"url": "redis://valkey.platform:6379/3"},
            "unknownPrice": "allow",
            "anonymousConcurrent": "off",  # the load comes from one address
        }
    )
    running = load(f"http://{one.fullname}:8000", PLAIN_PER_SECOND, OPEN_STREAMS)
    kubectl("wait", f"deployment/{one.fullname}", "--for=condition=Available")

    before = set(one.ready_pods())
    kubectl("rollout", "restart", f"deployment/{one.fullname}")
    kubectl("rollout", "status", f"deployment/{one.fullname}", "--timeout", "3m")
    eventually("the old pods are gone", 90, lambda: not before & {pod["metadata"]["name"] for pod in one.pods()})

    deleted = one.ready_pods()[0]
    with log_of(deleted) as last_words:
        kubectl("delete", "pod", deleted, "--wait", "--timeout", "90s")
    eventually("two pods are ready again", 60, lambda: len(one.ready_pods()) == 2)

    result = running.stop()
    print(f"\nrollout under load: {result}")
    assert result["failed"] == 0, result
    assert result["cut"] == 0, result
    assert result["plain"] >= 0.95 * PLAIN_PER_SECOND * result["seconds"], result
    assert result["least_open_streams"] >= OPEN_STREAMS - 2, result
    assert result["on_kept_connections"] > result["plain"] / 4, result
    drained = [line for line in last_words if '"event":"drain.end"' in line]
    assert drained, f"{deleted} was killed before its drain ended"
    assert '"cut":0' in drained[0]


@contextlib.contextmanager
def log_of(pod: str) -> Iterator[list[str]]:
    """The lines that the service's container writes during the block, to its end; filled in when the block ends."""
    lines: list[str] = []
    command = ["kubectl", "--context", CONTEXT, "--namespace", SCRATCH, "logs", pod, "--follow", "--tail", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        yield lines
        lines += process.communicate(timeout=30)[0].splitlines()
