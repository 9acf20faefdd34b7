"""Mixed runs whose traces have to be whole: answers, tools, fallbacks, clients that leave."""

import asyncio
import random
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

from app.messages import ToolCall
from tests.resilience.acts import TEXTS, Act, Call, answer, error
from tests.resilience.asking import Callers
from tests.resilience.goals import Sheet
from tests.resilience.provider import Provider
from tests.resilience.serving import service_of
from tests.service import Service
from tests.telemetry.collector import Collector, Span

PRIMARY, SPARE = "primary", "spare"
KINDS = ("fallback",) * 3 + ("leave",) * 2 + ("tool",) * 2 + ("plain",) * 3
"""Of ten runs."""

AT_ONCE = 16
SEED = 13
_PAUSE_SECONDS = 0.2
_LEAVE_SECONDS = 0.1


async def whole(folder: Path, *, runs: int, late: bool = False) -> Sheet:
    """What the collector has got is compared with itself, with the log and with the provider's count. Every request is
    sampled, or with `late` none, so that only runs that changed their model are traced."""
    sheet = Sheet(f"the traces of {runs:,} mixed runs{', none of them sampled' if late else ''}")
    with Provider() as provider, Collector() as collector:
        for model in (PRIMARY, SPARE):
            provider.does(model, _act)
        service = service_of(
            folder,
            provider,
            (PRIMARY, SPARE),
            otel_exporter_otlp_endpoint=collector.endpoint,
            otel_bsp_schedule_delay=200,
            otel_bsp_max_queue_size=8192,
            breaker=False,
            model_retries=1,
            otel_traces_sampler="always_off" if late else "always_on",
        )
        async with Callers() as callers:
            await _ask_all(callers, service.url, runs)
        await asyncio.to_thread(service.end)
    _judge(sheet, service, collector.spans, late=late)
    attempts = [span for span in collector.spans if span.kind == "client" and span.name == "POST"]
    if not late:
        sheet.at_least("requests that arrived", len({span.trace_id for span in collector.spans}), runs * 0.95)
        sheet.none("attempts that differ from the provider's count", range(abs(len(attempts) - provider.calls)))
    sheet.tell("spans, model calls", f"{len(collector.spans):,}, {provider.calls:,}")
    return sheet


def _act(_: int, call: Call) -> Act:
    """What the question asks for."""
    messages = call.body["messages"]
    kind = next(message["content"] for message in messages if message["role"] == "user").partition(" ")[0]
    if kind == "fallback" and call.model == PRIMARY:
        return error(500)
    if kind == "tool" and messages[-1]["role"] != "tool":
        return answer(call, (), [ToolCall("call_1", "calculator", {"expression": "6*7"})])
    if kind == "leave":
        return replace(answer(call, TEXTS * 5), pause=_PAUSE_SECONDS, wait=0 if call.stream else 10)
    return answer(call)


async def _ask_all(callers: Callers, url: str, runs: int) -> None:
    chance = random.Random(SEED)
    questions = iter([(f"{KINDS[number % len(KINDS)]} {number}", number % 3 == 0) for number in range(runs)])

    async def one_by_one() -> None:
        for question, stream in questions:
            asked = asyncio.create_task(callers.ask(url, stream=stream, message=question))
            if question.startswith("leave"):
                await asyncio.wait([asked], timeout=_LEAVE_SECONDS * (0.5 + chance.random()))
                asked.cancel()
                await asyncio.wait([asked])
            else:
                await asked

    async with asyncio.TaskGroup() as group:
        for _ in range(AT_ONCE):
            group.create_task(one_by_one())


def _judge(sheet: Sheet, service: Service, spans: Sequence[Span], *, late: bool) -> None:
    (account,) = service.log("traces.end")
    sheet.none("made and not received", range(account["made"] - len(spans)))
    lines = [line for path in ("/chat", "/chat/stream") for line in service.log("request", path=path)]
    due = {line["trace_id"] for line in lines if not late or line.get("fallback_from")}
    by_trace: Mapping[str, list[Span]] = defaultdict(list)
    for span in spans:
        by_trace[span.trace_id].append(span)
    sheet.none("runs that should be traced and are not, or the reverse", due ^ by_trace.keys())
    for what, find in FAULTS.items():
        sheet.none(what, [f"{trace[0].trace_id}: {fault}" for trace in by_trace.values() for fault in find(trace)])
    sheet.none("other than one model call a model used", _calls_twice(spans))
    kinds = Counter(span.attributes.get("agent.outcome", "none") for span in spans if span.name.startswith("invoke_"))
    sheet.tell("runs by outcome", ", ".join(f"{kind} {count}" for kind, count in sorted(kinds.items())))


def _roots(trace: Sequence[Span]) -> Iterator[str]:
    roots = [span.name for span in trace if not span.parent_id]
    runs = [span.name for span in trace if span.name.startswith("invoke_agent")]
    if len(roots) != 1 or len(runs) != 1:
        yield f"{roots}, {runs}"


def _orphans(trace: Sequence[Span]) -> Iterator[str]:
    ids = {span.id for span in trace}
    yield from (span.name for span in trace if span.parent_id and span.parent_id not in ids)


def _outside(trace: Sequence[Span]) -> Iterator[str]:
    by_id = {span.id: span for span in trace}
    for span in trace:
        parent = by_id.get(span.parent_id)
        if parent is not None and not parent.start <= span.start <= span.end <= parent.end:
            yield f"{span.name} in {parent.name}, {(span.end - parent.end) / 1e6:.3f} ms late"


def _overlapping(trace: Sequence[Span]) -> Iterator[str]:
    """One iteration ends before the next begins, a model call before the one that replaces it, an attempt before the
    next. Tools run together. OTLP itself has no order: it groups spans by who made them."""
    siblings: dict[str, list[Span]] = defaultdict(list)
    for span in sorted(trace, key=lambda span: span.start):
        if not span.name.startswith("execute_tool"):
            siblings[span.parent_id].append(span)
    for group in siblings.values():
        for span, following in pairwise(group):
            if span.end > following.start:
                yield f"{following.name} before the end of {span.name}"


def _attempts(trace: Sequence[Span]) -> Iterator[str]:
    posts = Counter(span.parent_id for span in trace if span.name == "POST")
    for span in trace:
        if span.name.startswith("chat ") and posts[span.id] != span.attributes.get("agent.attempts"):
            yield f"{span.name}: {posts[span.id]} of {span.attributes.get('agent.attempts')}"


FAULTS = {
    "other than one root and one run": _roots,
    "orphans": _orphans,
    "spans outside of their parents": _outside,
    "spans that did not end in order": _overlapping,
    "model calls with other attempts than they say": _attempts,
}


def _calls_twice(spans: Sequence[Span]) -> Iterator[str]:
    called = Counter((span.parent_id, span.name) for span in spans if span.name.startswith("chat "))
    yield from (f"{name}: {count} in one iteration" for (_, name), count in called.items() if count > 1)
