"""The judge's verdict on a run's question, beside the model call: nothing goes out before it, and no tool is called."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from time import perf_counter

from app.agents.definition import Agent
from app.errors import AppError, GuardUnavailable, RequestTooExpensive, UnsafeInput
from app.limits.allowance import Amount
from app.models.call_records import Attempt
from app.runs.context import RunContext
from app.runs.estimates import most_input_tokens, most_of_output
from app.runs.events import Event
from app.runs.guarding import note
from app.runs.handle import RunHandle
from app.safety.judge import Judge, Opinion
from app.safety.verdict import Verdict
from app.telemetry.guard_errors import guard_failed

RULE = "judge"


def most_of_judge(judge: Judge, text: str) -> Amount:
    """Tokens and nano-dollars of a verdict."""
    question = judge.question(text)
    read = most_input_tokens(question.system, question.messages, 0)
    return most_of_output(judge.model.dearest, read, question.max_tokens)


def is_judged(agent: Agent) -> bool:
    return agent.guarding.judge and agent.guarding.input != "off"


@asynccontextmanager
async def judged(run: RunContext, handle: RunHandle) -> AsyncIterator[None]:
    """A run whose question is judged, if it is to be. It is over only with the verdict, or when the time for one is."""
    judge = run.services.judge
    if judge is None or not is_judged(run.agent) or run.state.iterations:
        yield
        return
    judging = run.judging = Judging(judge, run, handle)
    try:
        yield
        await judging.wait()
    finally:
        await judging.close()


class Judging:
    """One run's. Its events are kept back until the verdict is there."""

    def __init__(self, judge: Judge, run: RunContext, handle: RunHandle) -> None:
        self._judge = judge
        self._run = run
        self._handle = handle
        self._emit = run.emit
        self._kept: list[Event] = []
        self._open = asyncio.Event()
        if run.agent.guarding.input == "block":
            run.emit = self._kept.append
        else:
            self._open.set()
        self._task = asyncio.create_task(self._ask())
        self._timer = asyncio.get_running_loop().call_later(judge.seconds, self._over)

    async def wait(self) -> None:
        """Return when what the run does may be seen."""
        await self._open.wait()

    async def close(self) -> None:
        """Give the verdict up that is not there yet; what it has used is paid."""
        self._timer.cancel()
        self._task.cancel()
        await asyncio.wait([self._task])
        self._run.emit = self._emit

    def _over(self) -> None:
        """The time for a verdict is."""
        if self._open.is_set():
            return
        if self._judge.required:
            guard_failed(RULE, "late")
            self._handle.fail(GuardUnavailable())
        else:
            self._release()

    def _release(self) -> None:
        run, self._run.emit = self._run, self._emit
        if run.told_at:
            run.told_at = perf_counter()
        for event in self._kept:
            self._emit(event)
        self._kept.clear()
        self._open.set()

    async def _ask(self) -> None:
        try:
            opinion = self._judge.opinion(await self._answer())
        except RequestTooExpensive as error:
            self._fail(error, "unaffordable")
        except AppError:
            self._fail(GuardUnavailable(), "unreachable")
        except Exception:  # noqa: BLE001 - whatever it is, there is no verdict
            self._fail(GuardUnavailable(), "error")
        else:
            self._decide(opinion)

    def _decide(self, opinion: Opinion | None) -> None:
        run = self._run
        if opinion is None:
            self._fail(GuardUnavailable(), "garbled")
        elif opinion == "safe":
            if not self._open.is_set():
                self._release()
        else:
            refused = run.agent.guarding.input == "block"
            verdict = Verdict("block", RULE, opinion)
            note(run.services, run.principal, run.agent, verdict, run.reservation.run_id, refused=refused)
            if refused:
                self._handle.fail(UnsafeInput(opinion))

    def _fail(self, error: AppError, reason: str) -> None:
        """There is no verdict. One that came too late, or only notes, ends nothing."""
        guard_failed(RULE, reason)
        if not self._open.is_set():
            self._handle.fail(error)

    async def _answer(self) -> str:
        """The judge's text, which the run pays for: what that may come to is set aside of what it holds."""
        run, judge = self._run, self._judge
        allowance = run.reservation.allowance
        tokens, nanos = most_of_judge(judge, run.request.message)
        if tokens > allowance.tokens or nanos > allowance.nanos:
            raise RequestTooExpensive("What is left of a budget does not cover the check of the question.")
        aside = [(tokens, nanos)]
        _move(run, -tokens, -nanos)

        def pay(attempt: Attempt) -> None:
            while aside:
                _move(run, *aside.pop())
            run.pay(attempt)

        pieces: list[str] = []
        try:
            await judge.model.generate(judge.question(run.request.message), pieces.append, on_attempt=pay)
        finally:
            while aside:
                _move(run, *aside.pop())
        return "".join(pieces)


def _move(run: RunContext, tokens: int, nanos: int) -> None:
    allowance = run.reservation.allowance
    allowance.tokens += tokens
    allowance.nanos += nanos
    allowance.most_tokens += tokens
    allowance.most_nanos += nanos
