"""docs/webhooks.md: its service is started, its receiver runs, and its commands answer as it says."""

import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from app.durable.webhooks import deliverer, outbox, sending
from app.durable.webhooks.backoff import Backoff
from tests.conftest import Serve
from tests.durable.webhooks.test_backoff import attempts
from tests.readme import check, examples
from tests.redis_server import free_port
from tests.service import REPOSITORY, Service
from tests.telemetry.events_table import SCHEMA

TEXT = (REPOSITORY / "docs" / "webhooks.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)


def test_what_is_shown_happens(tmp_path: Path, serve: Serve) -> None:
    [(make_secret, start)] = [block.splitlines() for block in blocks("sh")]
    subprocess.run(["bash", "-c", make_secret], cwd=tmp_path, check=True)
    settings = dict(pair.split("=") for pair in start.removesuffix(" make run").split())
    [script], [shown], port = blocks("python"), blocks("text"), free_port()
    (tmp_path / "receiver.py").write_text(script)
    command = (sys.executable, "receiver.py", str(port))
    service = serve(**{**settings, "WEBHOOK_SECRETS_DIR": tmp_path / settings["WEBHOOK_SECRETS_DIR"]})
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as receiver:
        try:
            assert receiver.stdout is not None
            (made, answer), *others = [each for block in blocks("console") for each in examples(block)]
            check(made.replace("9000", str(port)), answer, service)
            heard = [receiver.stdout.readline().decode()]
            run_id = service.client.get("/runs").json()["runs"][0]["run_id"]
            _wait_until_noted(service, run_id)
            for command_line, answer in others:
                check(
                    command_line.replace("RUN_ID", run_id),
                    answer.replace("RUN_ID", run_id).replace("9000", str(port)),
                    service,
                )
            heard.append(receiver.stdout.readline().decode())
            assert heard == [shown, shown]
        finally:
            receiver.kill()


def _wait_until_noted(service: Service, run_id: str) -> None:
    end = time.monotonic() + 20
    while service.client.get(f"/runs/{run_id}/deliveries").json()["deliveries"][0]["state"] == "pending":
        assert time.monotonic() < end
        time.sleep(0.02)


def test_the_attempts_are_when_the_page_says() -> None:
    row = next(line for line in TEXT.splitlines() if line.startswith("| after |"))
    units = {"s": 1, "min": 60, "h": 3600}
    told = [
        sum(int(number) * units[unit] for number, unit in re.findall(r"(\d+) (s|min|h)", cell))
        for cell in row.split("|")[2:-1]
    ]
    made = attempts(Backoff(jitter=0.0))
    assert len(told) == len(made)
    assert [abs(shown - at) < 60 for shown, at in zip(told, made, strict=True)] == [True] * len(made)


@pytest.mark.parametrize(
    ("sentence", "number"),
    [
        ("within {} seconds has failed", sending.SECONDS),
        ("up to {} at once", deliverer.MOST),
        ("{} of them to one host", deliverer.MOST_OF_HOST),
        ("host and {} of one user", deliverer.MOST_OF_OWNER),
        ("is replaced within {} seconds", outbox.LEASE_SECONDS),
        ("longer, up to {} hours", Backoff().longest_seconds / 3600),
        ("differ by up to {} %", Backoff().jitter * 100),
    ],
)
def test_numbers_are_those_of_the_code(sentence: str, number: float) -> None:
    assert sentence.format(f"{number:g}") in " ".join(TEXT.split())


def test_every_reason_is_explained() -> None:
    reasons = SCHEMA["$defs"]["webhook.given_up"]["properties"]["reason"]["enum"]
    table = TEXT[TEXT.index("| `reason` |") : TEXT.index("## Secrets")]
    assert set(re.findall(r"`([a-z_]+)`", table)) - {"reason"} == set(reasons)
