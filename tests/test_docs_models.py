"""docs/models.md: its services are started and asked as it says; the settings and metrics that it names exist."""

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import prometheus_client
import pytest

from app.errors import AppError
from app.models.failure_table import TABLE
from app.settings import Settings
from app.telemetry import metrics
from tests.models.embedding_server import embedded
from tests.models.servers import Received, Reply
from tests.readme import check, examples
from tests.service import Service, environment
from tests.upstream import Upstream

ROOT = Path(__file__).parent.parent
TEXT = (ROOT / "docs" / "models.md").read_text()
PAGES = [path.read_text() for path in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))]
STARTS = re.findall(r"```sh\n(.*?)```(?:\n+```console\n(.*?)```)?", TEXT, re.DOTALL)
ASKED = [(start, block) for start, block in STARTS if block]
LAST_TABLE = TEXT[TEXT.index("## What you see") :]


class Embedder(Upstream):
    """An Ollama that embeds."""

    def reply_to(self, request: Received) -> Reply:
        return embedded(request) if request.path.endswith("/api/embed") else super().reply_to(request)


def settings_of(start: str) -> Mapping[str, str]:
    """The variables before `make run`."""
    *given, make, run = shlex.split(start.replace("\\\n", " "))
    assert (make, run) == ("make", "run")
    pairs = [each.partition("=") for each in given]
    return {name: "sk-shown" if value == "…" else value for name, _, value in pairs}


@pytest.fixture(scope="module")
def ollama() -> Iterator[Upstream]:
    with Embedder() as server:
        yield server


@pytest.mark.parametrize(("start", "block"), ASKED, ids=[start.strip()[:60] for start, _ in ASKED])
def test_a_service_that_is_started_as_shown_answers_as_shown(
    start: str, block: str, tmp_path: Path, ollama: Upstream
) -> None:
    given: dict[str, Any] = dict(settings_of(start))
    if "ollama/" in start:
        given["OLLAMA_API_BASE"] = ollama.url
    service = Service(tmp_path, **given)
    try:
        for command, shown in examples(block):
            check(command, shown, service)
    finally:
        service.end()


@pytest.mark.parametrize("start", [start for start, block in STARTS if not block])
def test_settings_that_are_shown_without_an_answer_are_good_ones(start: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "app", "agents", "check", "agents"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=ROOT,
        env=environment(**settings_of(start)),
    )
    assert done.returncode == 0, done.stderr


def test_settings_that_are_named_exist() -> None:
    named = set(re.findall(r"`([A-Z][A-Z0-9_]+)(?:=[^`]*)?`", TEXT))
    assert len(named) > 20
    assert named <= {name.upper() for name in Settings.model_fields}


def known_metrics() -> set[str]:
    """As a query names them."""
    kinds = prometheus_client.Counter | prometheus_client.Gauge | prometheus_client.Histogram
    found = [metric for metric in vars(metrics).values() if isinstance(metric, kinds)]
    return {f"{each._name}_total" if isinstance(each, prometheus_client.Counter) else each._name for each in found}


def test_metrics_that_are_named_exist() -> None:
    named = {name for page in PAGES for name in re.findall(r"\bagent_(?!api\b)[a-z_]+\b", page)}
    assert {re.sub(r"_(?:bucket|count|sum)$", "", name) for name in named} <= known_metrics()


def test_every_metric_is_named_somewhere() -> None:
    text = "\n".join(PAGES)
    assert [name for name in sorted(known_metrics()) if name not in text] == []


def test_every_class_of_failures_that_a_caller_can_meet_is_in_the_table_of_what_to_do() -> None:
    told = set(re.findall(r"`([a-z_]+)`", LAST_TABLE))
    assert TABLE.keys() - told <= {"deadline_exceeded", "cancelled", "error", "timeout"}


def test_the_problems_that_the_table_of_what_to_do_names_are_those_of_the_service() -> None:
    named = set(re.findall(r"\b(?:4|5)\d\d `([a-z-]+)`", LAST_TABLE))
    assert len(named) >= 5
    assert named <= {kind.slug for kind in _kinds(AppError)}


def _kinds(kind: type[AppError]) -> Iterator[type[AppError]]:
    yield kind
    for narrower in kind.__subclasses__():
        yield from _kinds(narrower)


def test_links_within_the_docs_lead_somewhere() -> None:
    for target, anchor in re.findall(r"\]\(([\w./-]*\.md)?(?:#([\w-]+))?\)", TEXT):
        page = ROOT / "docs" / target if target else ROOT / "docs" / "models.md"
        assert page.exists(), target
        assert not anchor or anchor in _anchors(page.read_text()), (target, anchor)


def _anchors(text: str) -> set[str]:
    titles = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}
