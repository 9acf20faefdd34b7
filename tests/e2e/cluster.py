"""The cluster that `make kind-up` makes, as a person sees it: through kubectl, helm and forwarded ports."""

import contextlib
import json
import os
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import yaml

ROOT = Path(__file__).parents[2]
CHART = ROOT / "charts" / "agent-api"
CONTEXT = "kind-agent-api"
INSTALLED = "agent-api"  # namespace and release of `make kind-up`
SCRATCH = os.environ.get("AGENT_API_E2E_NAMESPACE", "agent-api-e2e")  # namespace of the tests' own releases

T = TypeVar("T")


class CommandError(Exception):
    """A command that failed, with all it wrote."""


def run(*command: str, text: str | None = None, timeout: float = 300) -> str:
    """What the command wrote to stdout. Raises CommandError."""
    done = subprocess.run(command, input=text, capture_output=True, text=True, timeout=timeout, check=False)
    if done.returncode:
        raise CommandError(f"{' '.join(command)}: exit {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


def kubectl(*arguments: str, text: str | None = None, namespace: str = SCRATCH, timeout: float = 300) -> str:
    return run("kubectl", "--context", CONTEXT, "--namespace", namespace, *arguments, text=text, timeout=timeout)


def flush(database: str) -> None:
    """Empty a database of the cluster's Valkey: an earlier run may have left what it kept there."""
    kubectl("exec", "valkey-0", "--", "valkey-cli", "-n", database, "flushdb", namespace="platform")


def get(*arguments: str, namespace: str = SCRATCH) -> Any:
    return json.loads(kubectl("get", *arguments, "--output", "json", namespace=namespace))


def helm(*arguments: str, namespace: str = SCRATCH, text: str | None = None) -> str:
    return run("helm", "--kube-context", CONTEXT, "--namespace", namespace, *arguments, text=text, timeout=900)


def eventually(what: str, seconds: float, look: Callable[[], T | None]) -> T:
    """The first true value that `look` returns; AssertionError when there is none in time."""
    end = time.monotonic() + seconds
    last: Exception | None = None
    while time.monotonic() < end:
        try:
            if found := look():
                return found
            last = None
        except (CommandError, OSError, KeyError, IndexError) as error:
            last = error
        time.sleep(1)
    raise AssertionError(f"not within {seconds:.0f} s: {what}" + (f" ({last})" if last else ""))


@contextlib.contextmanager
def forwarded(name: str, port: int, namespace: str, kind: str = "service") -> Iterator[str]:
    """The base URL of a service or a pod, forwarded to this machine while the block runs."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        local = probe.getsockname()[1]
    command = ["kubectl", "--context", CONTEXT, "--namespace", namespace, "port-forward", f"{kind}/{name}"]
    process = subprocess.Popen(
        [*command, f"{local}:{port}"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    try:
        assert process.stdout
        assert "Forwarding" in (line := process.stdout.readline()), line
        yield f"http://127.0.0.1:{local}"
    finally:
        process.terminate()
        process.communicate(timeout=10)


def fetch(url: str, body: dict[str, Any] | None = None, timeout: float = 120) -> str:
    """The body of an answer of 200. Raises OSError for any other."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data=data, headers={"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=timeout) as answer:
            content: str = answer.read().decode()
            return content
    except urllib.error.HTTPError as error:
        raise OSError(f"{url}: {error.code} {error.read().decode(errors='replace')}") from None


@dataclass(frozen=True, slots=True)
class Release:
    """A release of the chart in the tests' namespace."""

    name: str
    namespace: str = SCRATCH

    def install(self, values: dict[str, Any], wait: bool = True, timeout: str = "3m") -> str:
        waiting = ["--wait", "--timeout", timeout] if wait else []
        arguments = ["upgrade", "--install", self.name, str(CHART), "--values", "-", *waiting]
        try:
            return helm(*arguments, namespace=self.namespace, text=yaml.safe_dump(values))
        except CommandError as error:
            raise CommandError(f"{error}\n{self.describe()}") from None

    def uninstall(self) -> None:
        helm("uninstall", self.name, "--ignore-not-found", "--wait", "--timeout", "2m", namespace=self.namespace)

    @property
    def fullname(self) -> str:
        return self.name if "agent-api" in self.name else f"{self.name}-agent-api"

    def pods(self) -> list[dict[str, Any]]:
        selector = f"app.kubernetes.io/instance={self.name},app.kubernetes.io/component=api"
        items: list[dict[str, Any]] = get("pods", "--selector", selector, namespace=self.namespace)["items"]
        return items

    def ready_pods(self) -> list[str]:
        """The names of the pods that get requests, those about to end left out."""
        return [
            pod["metadata"]["name"]
            for pod in self.pods()
            if "deletionTimestamp" not in pod["metadata"]
            and any(one["type"] == "Ready" and one["status"] == "True" for one in pod["status"].get("conditions", []))
        ]

    def describe(self) -> str:
        selector = f"app.kubernetes.io/instance={self.name},app.kubernetes.io/component=api"
        return kubectl("describe", "pods", "--selector", selector, namespace=self.namespace)

    def logs(self, container: str) -> str:
        selector = f"app.kubernetes.io/instance={self.name},app.kubernetes.io/component=api"
        arguments = ["logs", "--selector", selector, "--container", container, "--tail", "-1"]
        return kubectl(*arguments, namespace=self.namespace)
