"""Who calls, how often, for how much: docs/limits.md line by line, then that two pods count as one."""

import json
import os
import re
import signal
import socket
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from itertools import cycle
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.e2e.cluster import ROOT, Release, eventually, flush, forwarded, helm, kubectl, run
from tests.readme import ANYTHING, normal

GUIDE = (ROOT / "docs" / "limits.md").read_text().partition("## All of it in a cluster")[2]
WALK, _, END = GUIDE.partition("**The end.**")
NAME = "limits"
DATABASE = "5"
BUDGET, RATE = 20_000, 100  # as limits.yaml has them
VOLATILE = [  # what differs from run to run, besides what differs in the README
    (re.compile(r'("(?:spent|resets_in_seconds)": ?)[0-9.]+'), r"\1N"),
    (re.compile(r"begins in [0-9]+ s"), "begins in N s"),
    (re.compile(r"(retry-after: |;t=)[0-9]+"), r"\1N"),
]


def examples(text: str) -> list[tuple[str, str]]:
    """Commands, each with what is shown below it."""
    found = []
    for block in re.findall(r"```console\n(.*?)```", text, re.DOTALL):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, _, shown = part.partition("\n")
            found.append((command, shown))
    return found


def same(shown: str, got: str) -> bool:
    for pattern, name in VOLATILE:
        shown, got = pattern.sub(name, shown), pattern.sub(name, got)
    parts = [re.escape(part) for part in normal(shown).split(ANYTHING)]
    return re.fullmatch(".*".join(parts), normal(got)) is not None


class Shell:
    """One bash for all the lines, as a person has it, in a folder where the chart is."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "charts").symlink_to(ROOT / "charts")
        (folder / "kubeconfig").write_text(run("kind", "get", "kubeconfig", "--name", "agent-api"))
        self._errors = folder / "errors"
        self._process = subprocess.Popen(
            ["bash"],
            cwd=folder,
            env=os.environ | {"KUBECONFIG": str(folder / "kubeconfig")},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def paste(self, command: str) -> str:
        """What the command wrote to stdout."""
        assert self._process.stdin
        assert self._process.stdout
        out = self.folder / "out"
        self._process.stdin.write(f"{{ {command}\n}} </dev/null >{out} 2>{self._errors}; echo $?\n")
        self._process.stdin.flush()
        status = self._process.stdout.readline().strip()
        assert status == "0", f"{command}: exit {status}\n{out.read_text()}{self._errors.read_text()}"
        return out.read_text()

    def follow(self, text: str, port: int) -> None:
        """Pastes the lines of the text and compares what they say. `port` stands for the 8000 of this machine."""
        for command, shown in examples(text):
            local = command.replace("8000:8000", f"{port}:8000").replace("localhost:8000", f"localhost:{port}")
            got = self.paste(local)
            assert same(shown, got), f"$ {command}\nshown:\n{shown}\ngot:\n{got}"

    def close(self) -> None:
        os.killpg(self._process.pid, signal.SIGTERM)
        self._process.communicate(timeout=10)


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    """After the lines of the guide, but for those that clean up, which come at the end."""
    kubectl("delete", "namespace", NAME, "--ignore-not-found", "--wait", namespace="default")
    flush(DATABASE)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    one = Shell(tmp_path_factory.mktemp("walk"))
    file = re.search(r"```yaml\n# limits.yaml\n(.*?)```", WALK, re.DOTALL)
    assert file
    (one.folder / "limits.yaml").write_text(file[1])
    try:
        one.follow(WALK, port)
        yield one
        one.follow(END, port)
    finally:
        one.close()
        kubectl("delete", "namespace", NAME, "--ignore-not-found", "--wait=false", namespace="default")
        flush(DATABASE)


class Pods:
    """Both pods, asked in turn by many callers at once."""

    def __init__(self, clients: dict[str, httpx.Client]) -> None:
        self.clients = clients

    def know_the_key(self) -> bool:
        kubectl("annotate", "pods", "--all", "--overwrite", f"looked={time.monotonic()}", namespace=NAME)
        return all(client.get("/usage").status_code == 200 for client in self.clients.values())

    def ask(self, times: int, path: str, body: dict[str, Any]) -> list[tuple[str, httpx.Response]]:
        """Each answer with the pod that gave it."""

        def one(pod: str) -> tuple[str, httpx.Response]:
            return pod, self.clients[pod].post(path, json=body)

        pods = cycle(self.clients)
        with ThreadPoolExecutor(20) as threads:
            return list(threads.map(one, [next(pods) for _ in range(times)]))


@pytest.fixture
def pods(shell: Shell, request: pytest.FixtureRequest) -> Iterator[Pods]:
    """As seen by a user of the test's own, whose key comes into the running pods."""
    user = request.node.name.removeprefix("test_")[:64]
    shell.paste(f"kubectl -n {NAME} exec deployment/limits-agent-api -- python -m app keys new --user {user} > made")
    key, line = (shell.folder / "made").read_text().splitlines()
    with (shell.folder / "keys.jsonl").open("a") as keys:
        keys.write(line + "\n")
    for command, _ in examples(WALK):
        if "replace -f -" in command:
            shell.paste(command)
    with ExitStack() as stack:
        clients = {
            pod: stack.enter_context(
                httpx.Client(
                    base_url=stack.enter_context(forwarded(pod, 8000, NAME, kind="pod")),
                    headers={"Authorization": f"Bearer {key}"},
                    timeout=30,
                    trust_env=False,
                )
            )
            for pod in Release(NAME, NAME).ready_pods()
        }
        both = Pods(clients)
        assert len(clients) == 2
        eventually("both pods know the new key", 120, both.know_the_key)
        yield both


def test_the_guide_is_true(shell: Shell) -> None:
    """`shell` has followed it. Nothing secret came into the logs on the way."""
    key = (shell.folder / "ada").read_text().splitlines()[0]
    logs = Release(NAME, NAME).logs("agent-api")
    assert '"event":"request"' in logs
    assert key not in logs


def test_two_pods_admit_exactly_what_the_limit_says(pods: Pods) -> None:
    began = time.monotonic()
    answers = pods.ask(3 * RATE, "/api/tools/calculator", {"expression": "6 * 7"})
    seconds = time.monotonic() - began
    assert seconds < 55, "slower than the window"
    assert Counter(answer.status_code for _, answer in answers) == {200: RATE, 429: 2 * RATE}
    by_pod = Counter(pod for pod, answer in answers if answer.status_code == 200)
    assert len(by_pod) == 2
    assert all(int(answer.headers["Retry-After"]) <= 60 for _, answer in answers if answer.status_code == 429)
    print(f"\n{len(answers)} calls of a tool at two pods in {seconds:.1f} s: admitted {sorted(by_pod.values())}")


def test_two_pods_spend_one_budget(pods: Pods) -> None:
    asked, ran = 0, list[tuple[str, Any]]()
    while True:
        answers = pods.ask(60, "/agent/run", {"query": "What is 6 * 7?"})
        asked += len(answers)
        assert all(answer.json()["budget"] == "user" for _, answer in answers if answer.status_code != 200)
        admitted = [(pod, answer.json()) for pod, answer in answers if answer.status_code == 200]
        if not admitted:
            break
        ran += admitted
    assert all(answer.status_code == 429 for _, answer in answers)
    assert all(answer.headers["Retry-After"] == str(answer.json()["resets_in_seconds"]) for _, answer in answers)
    assert len({pod for pod, _ in ran}) == 2
    used = sum(answer["tokens_used"] for _, answer in ran)
    for client in pods.clients.values():
        usage = client.get("/usage").json()
        [budget] = usage["budgets"]
        assert usage["tokens"] == used == budget["tokens"]["spent"] <= BUDGET
        assert budget["tokens"]["reserved"] == 0
    assert used > 0.8 * BUDGET
    print(f"\n{asked} runs asked of two pods: {len(ran)} admitted, {used} of {BUDGET} tokens spent")


def test_helm_test_passes_where_credentials_are_wanted(shell: Shell) -> None:
    assert helm("test", NAME, namespace=NAME).count("Phase:          Succeeded") == 2


def test_a_whole_release_says_nothing_of_its_keys(shell: Shell) -> None:
    """The hashes are in the secret alone."""
    line: dict[str, Any] = json.loads((shell.folder / "keys.jsonl").read_text().splitlines()[0])
    everything = helm("get", "all", NAME, namespace=NAME)
    assert "api-keys" in everything
    assert line["sha256"] not in everything
