"""HTTP's standard series: those of prometheus-fastapi-instrumentator, to the last bucket."""

from types import SimpleNamespace
from typing import Any

import pytest
from fastapi.routing import APIRoute
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import REGISTRY, CollectorRegistry
from prometheus_fastapi_instrumentator.metrics import Info, default

from app.api.middleware import PROBES
from app.api.request_metrics import STANDARD, count, count_refused
from app.main import create_app
from app.settings import load
from tests.telemetry.asgi import ask, series

METHODS = ("GET", "POST", "DELETE")
LENGTHS = st.integers(0, 10**9)


def samples(registry: CollectorRegistry, names: Any) -> dict[str, float]:
    return {
        f"{sample.name}{sorted(sample.labels.items())}": sample.value
        for family in registry.collect()
        if family.name in names
        for sample in family.samples
    }


@settings(max_examples=40)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(METHODS),
            st.sampled_from(["/made-up", "/made-up/{name}"]),
            st.integers(100, 599),
            st.integers(0, 400_000).map(lambda ms: ms / 1000),
            LENGTHS,
            LENGTHS,
        ),
        max_size=5,
    )
)
def test_a_request_adds_what_the_instrumentator_itself_would_add(
    requests: list[tuple[str, str, int, float, int, int]],
) -> None:
    theirs = CollectorRegistry()
    observe = default(registry=theirs)
    assert observe is not None
    before = samples(REGISTRY, STANDARD.made)
    for method, path, status, seconds, received, sent in requests:
        route: Any = SimpleNamespace(path=path)
        count({"route": route}, method, status, seconds, "", b"%d" % received, b"%d" % sent)
        request: Any = SimpleNamespace(headers={"Content-Length": received})
        response: Any = SimpleNamespace(headers={"Content-Length": sent})
        observe(Info(request, response, method, path, f"{status // 100}xx", seconds))
    after = samples(REGISTRY, STANDARD.made)
    added = {name: value - before.get(name, 0) for name, value in after.items() if value != before.get(name, 0)}
    expected = {name: value for name, value in samples(theirs, STANDARD.made).items() if value}
    assert added == pytest.approx(expected, abs=1e-6)


def test_every_route_is_there_at_zero_but_probes() -> None:
    app = create_app(load(None))
    known = series()
    for route in app.routes:
        if isinstance(route, APIRoute):
            name = f"agent_request_latency_seconds_count[('endpoint', '{route.path}')]"
            assert (name in known) == (route.path not in PROBES), route.path
    assert "http_requests_total[('handler', '/chat'), ('method', 'POST'), ('status', '5xx')]" in known
    labels = [("endpoint", "/chat"), ("method", "POST"), ("outcome", ""), ("status", "429")]
    assert f"agent_requests_total{labels}" in known


async def test_requests_are_counted_by_the_routes_template_and_probes_are_not() -> None:
    app = create_app(load(None, anonymous_per_minute="off"))
    before = series()
    await ask(app, "GET", "/sessions/of-somebody")
    await ask(app, "GET", "/nowhere")
    await ask(app, "BREW", "/chat")
    await ask(app, "GET", "/live")
    await ask(app, "GET", "/ready")
    after = series()
    totals = {
        name.partition("[")[2]: value - before.get(name, 0)
        for name, value in after.items()
        if name.startswith("http_requests_total") and value != before.get(name, 0)
    }
    assert totals == {
        "('handler', '/sessions/{session_id}'), ('method', 'GET'), ('status', '4xx')]": 1,
        "('handler', 'none'), ('method', 'GET'), ('status', '4xx')]": 1,
        "('handler', '/chat'), ('method', 'other'), ('status', '4xx')]": 1,
    }


async def test_sizes_are_those_of_content_length_and_nobody_spoils_their_sum() -> None:
    app = create_app(load(None, anonymous_per_minute="off"))
    received = "http_request_size_bytes_sum[('handler', '/usage')]"
    sent = "http_response_size_bytes_sum[('handler', '/usage')]"
    before = series()
    for length in ("100", "9" * 300, "-5", "x"):
        await ask(app, "GET", "/usage", headers={"content-length": length})
    after = series()
    assert after[received] - before[received] == 100
    assert after[sent] - before[sent] > 4 * 20


def test_what_was_refused_before_it_was_a_request_is_counted() -> None:
    name = "http_requests_total[('handler', 'none'), ('method', 'other'), ('status', '4xx')]"
    before = series().get(name, 0)
    count_refused(431)
    assert series()[name] == before + 1


def test_an_answer_that_never_began_is_a_failure() -> None:
    name = "http_requests_total[('handler', 'none'), ('method', 'GET'), ('status', '5xx')]"
    before = series().get(name, 0)
    count({}, "GET", 0, 0.1)
    assert series()[name] == before + 1
