"""The example of a collector: it decides by what spans of this service have, and not before a run can be over."""

import re
from pathlib import Path
from typing import Any

import yaml

from app.runs.outcome import BAD
from app.settings import load
from app.telemetry import conventions

CONFIG = Path(__file__).parents[2] / "k8s" / "collector" / "config.yml"


def _read() -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    config = yaml.load(CONFIG.read_text(), yaml.CSafeLoader)
    sampling = config["processors"]["tail_sampling"]
    return sampling, {policy["name"]: policy for policy in sampling["policies"]}


def test_it_decides_once_a_run_is_over() -> None:
    sampling, _ = _read()
    assert float(sampling["decision_wait"].removesuffix("s")) > load(None).run_timeout_seconds


def test_it_keeps_what_late_sampling_keeps() -> None:
    settings, (_, policies) = load(None), _read()
    assert policies["slow"]["latency"]["threshold_ms"] == settings.trace_slow_seconds * 1000
    (dear,) = policies["dear"]["ottl_condition"]["span"]
    assert dear.endswith(f">= {settings.trace_dear_usd}")


def test_it_asks_for_attributes_that_there_are() -> None:
    known = {value for value in vars(conventions).values() if isinstance(value, str)}
    asked = set(re.findall(r"agent\.[a-z_.]+", re.sub(r"#.*", "", CONFIG.read_text())))
    assert asked
    assert asked <= known
    _, policies = _read()
    outcomes = policies["failed runs"]["string_attribute"]["values"]
    assert set(outcomes) == BAD


def test_all_that_the_pipeline_names_is_configured() -> None:
    config = yaml.load(CONFIG.read_text(), yaml.CSafeLoader)
    for pipeline in config["service"]["pipelines"].values():
        for kind in ("receivers", "processors", "exporters"):
            assert set(pipeline[kind]) <= config[kind].keys()
