"""docs/architecture.md: its paths are there, its example is a provider, and a step can be added from outside."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.runs.context import RunContext
from app.runs.events import RunFinished, Token
from app.runs.handle import RunHandle
from app.runs.pipeline import execute
from tests.doubles import ScriptedModel, answers
from tests.packages import write_package
from tests.service import Service
from tests.stage import Stage

ROOT = Path(__file__).parent.parent
TEXT = (ROOT / "docs" / "architecture.md").read_text()
STOPS = re.findall(r"^\d\. \*\*`([^`]+)`\*\*", TEXT, re.MULTILINE)


@pytest.mark.parametrize("path", sorted(set(re.findall(r"`((?:app|tests)/[\w/.]+)`", TEXT))))
def test_every_path_is_there(path: str) -> None:
    assert (ROOT / path).exists()


def test_the_way_of_a_request_has_at_most_nine_stops_and_none_twice() -> None:
    assert 5 <= len(STOPS) <= 9
    assert len(set(STOPS)) == len(STOPS)


@pytest.fixture(scope="module")
def parrots(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("parrots")
    [source] = re.findall(r"```python\n# parrots\.py\n(.*?)```", TEXT, re.DOTALL)
    [entry] = re.findall(r"^parrots = \"(.*)\"$", TEXT, re.MULTILINE)
    package = write_package(folder, "parrots", source, group="agent_api.providers", module="parrots", entry=entry)
    service = Service(folder / "service", models="parrots/grey", unknown_price="allow", pythonpath=package)
    yield service
    service.end()


def test_a_provider_added_from_outside_answers(parrots: Service) -> None:
    answer = parrots.ask("POST", "/chat", {"message": "Polly?"}).json()
    assert (answer["answer"], answer["model"], answer["usage"]["output_tokens"]) == ("Polly?", "parrots/grey", 1)
    assert parrots.metrics()['agent_model_requests_total{model="parrots/grey",outcome="ok"}'] == 1


async def test_a_step_added_from_outside_is_part_of_every_run() -> None:
    async def greeting(run: RunContext, handle: RunHandle) -> None:
        run.emit(Token(f"Hello {run.principal.user}. "))
        await execute(run, handle)

    events = await Stage(ScriptedModel(answers("ok")), pipeline=greeting).events()
    assert events[0] == Token("Hello ada. ")
    assert isinstance(events[-1], RunFinished)
