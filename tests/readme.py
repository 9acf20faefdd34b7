"""The examples of the README and the docs: run, and compared with what the service answers."""

import os
import re
import subprocess
import sys
from collections.abc import Sequence

from tests.service import REPOSITORY, Service

ANYTHING = "…"


VOLATILE = [  # what differs from run to run
    (re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"), "UUID"),
    (re.compile(r"\b(call_)?[0-9a-f]{32}\b"), "HEX"),
    (re.compile(r'("(?:latency_ms|created_at|updated_at)": ?)[0-9.e+-]+'), r"\1N"),
    (re.compile(r'("(?:uptime|last_ok|age)_seconds": ?)[0-9.e+-]+'), r"\1N"),
    (re.compile(r'("(?:input_tokens|output_tokens|tokens_used|tokens|calls)": ?)[0-9]+'), r"\1N"),
    (re.compile(r'("day": ?)"[0-9-]+"'), r"\1D"),
    (re.compile(r'("(?:created_at|started_at|ended_at)": ?)"[^"]+"'), r"\1T"),
    (re.compile(r'("version": ?)"[^"]*"'), r"\1V"),
]


def normal(text: str) -> str:
    """Without what is volatile, and without the spaces that formatting adds."""
    for pattern, name in VOLATILE:
        text = pattern.sub(name, text)
    return re.sub(r"\s+", "", text)


def matches(shown: str, got: str) -> bool:
    parts = [re.escape(part) for part in normal(shown).split(ANYTHING)]
    return re.fullmatch(".*".join(parts), normal(got)) is not None


def examples(text: str) -> Sequence[tuple[str, str]]:
    """Commands and what is shown below them, in the text's order."""
    found = []
    for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
        command, _, shown = part.partition("\n")
        found.append((command, shown))
    return found


def check(command: str, shown: str, service: Service) -> None:
    """The command succeeds, and prints what is shown."""
    check_together([(command, shown)], service)


def check_together(block: Sequence[tuple[str, str]], service: Service) -> None:
    """Each command of the block, in one shell that keeps its variables, succeeds and prints what is shown."""
    script = "".join(f"{_local(command, service)}\nprintf '\\x1d%s\\x1e' $?\n" for command, _ in block)
    done = subprocess.run(
        ["bash", "-c", script],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=REPOSITORY,
        env=os.environ | {"AGENT_API_URL": service.url},
    )
    answers = done.stdout.split("\x1e")[:-1]
    assert len(answers) == len(block), done.stdout + done.stderr
    for (command, shown), told in zip(block, answers, strict=True):
        got, _, status = told.rpartition("\x1d")
        assert status == "0", f"{command}\n{got}\n{done.stderr}"
        assert matches(shown, got), f"{command}\nshown:\n{shown}\ngot:\n{got}\n{done.stderr}"


def _local(command: str, service: Service) -> str:
    local = command.replace("localhost:8000", f"127.0.0.1:{service.port}")
    local = local.replace("localhost:9090", f"127.0.0.1:{service.metrics_port}")
    return local.replace(".venv/bin/python", sys.executable)
