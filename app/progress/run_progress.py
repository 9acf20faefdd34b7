"""How far a run is, from its events: what every display shows."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from app.progress.calls import AskedApproval, ModelCall, ToolCall
from app.progress.events import Event

Status = Literal["queued", "running", "waiting", "succeeded", "failed", "cancelled", "expired"]
EXIT: Mapping[str, int] = {"succeeded": 0, "failed": 1, "cancelled": 3, "expired": 3}
"""The exit status for each state that a run ends in."""


@dataclass
class RunProgress:
    """Everything is kept with the number of the event that told it, so that a resumption can take it back."""

    run_id: str
    status: str = "queued"
    agent: str = ""
    start_at: str = ""
    """Not before this time, of a run that waits for it."""
    model: str = ""
    pieces: list[tuple[int, str]] = field(default_factory=list)
    tools: list[ToolCall] = field(default_factory=list)
    calls: list[ModelCall] = field(default_factory=list)
    approvals: list[AskedApproval] = field(default_factory=list)
    """That the run waits for, or is about to."""
    paused: bool = False
    """What resumes it next is a decision."""
    decided: bool = False
    """What resumed it last was one."""
    resumptions: int = 0
    """By another worker."""
    problem: Mapping[str, Any] = field(default_factory=dict)
    answer: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, record: Mapping[str, Any]) -> "RunProgress":
        """As `GET /runs/{id}` tells it, before any event. A run that is over is so by its last event."""
        status = "running" if record["status"] in EXIT else record["status"]
        return cls(record["run_id"], status, record.get("agent") or "", record.get("start_at") or "")

    @property
    def tokens(self) -> int:
        return sum(call.tokens for call in self.calls)

    @property
    def cost_usd(self) -> float:
        return sum(call.cost_usd for call in self.calls)

    @property
    def iteration(self) -> int:
        """The one that goes on, from 1; in the end the last."""
        done = max((call.iteration for call in self.calls), default=0)
        return done if self.over else done + 1

    @property
    def over(self) -> bool:
        return self.status in EXIT

    @property
    def text(self) -> str:
        """The text of the newest iteration that said anything; in the end the answer."""
        if self.answer:
            return str(self.answer.get("answer", ""))
        newest = self.pieces[-1][0] if self.pieces else 0
        begin = max((call.number for call in self.calls if call.number < newest), default=0)
        return "".join(text for number, text in self.pieces if number > begin)

    def take(self, event: Event) -> None:
        """Bring the state up to date. Events of kinds that are not known change nothing."""
        data = event.data
        self.status = "running" if self.status in ("queued", "waiting") else self.status
        match event.name:
            case "run.started":
                self.model = str(data.get("model", ""))
            case "run.resumed":
                self._resumed(event)
            case "approval.required":
                self._approval_asked(event)
            case "run.paused":
                self.status, self.paused = "waiting", True
            case "token":
                self.pieces.append((event.id, str(data.get("text", ""))))
            case "tool.started":
                self._tool_started(event)
            case "tool.finished":
                self._tool_finished(event)
            case "model.switched":
                self.model = str(data.get("to", ""))
            case "usage":
                self._used(event)
            case "run.finished":
                self.status, self.answer = "succeeded", data
            case "run.failed":
                slug = str(data.get("type", "")).rpartition(":")[2]
                self.status, self.problem = slug if slug in EXIT else "failed", data

    def _resumed(self, event: Event) -> None:
        self.decided, self.paused = self.paused, False
        if self.decided:
            self.approvals = []
        else:
            self.resumptions += 1
        self._discard(int(event.data.get("discard_from", event.id)))

    def _approval_asked(self, event: Event) -> None:
        data = event.data
        told = (str(data.get(name, "")) for name in ("detail", "expires_at"))
        asked = AskedApproval(
            event.id, str(data.get("approval_id")), str(data.get("tool")), data.get("arguments") or {}, *told
        )
        self.approvals.append(asked)

    def _tool_started(self, event: Event) -> ToolCall:
        data = event.data
        tool = ToolCall(event.id, str(data.get("id")), str(data.get("tool")), data.get("arguments") or {})
        self.tools.append(tool)
        return tool

    def _tool_finished(self, event: Event) -> None:
        """A model may use a call's id again in its next iteration. What began before the first event that is kept
        begins here."""
        data = event.data
        running = (tool for tool in self.tools if tool.id == str(data.get("id")) and not tool.ended)
        tool = next(running, None) or self._tool_started(event)
        tool.ended, tool.status = event.id, str(data.get("status", ""))
        tool.latency_ms, tool.error = float(data.get("latency_ms") or 0), str(data.get("error") or "")

    def _used(self, event: Event) -> None:
        usage = event.data.get("usage") or {}
        tokens = sum(int(usage.get(kind) or 0) for kind in ("input_tokens", "output_tokens"))
        iteration = int(event.data.get("iteration") or 1)
        self.calls.append(ModelCall(event.id, iteration, tokens, float(event.data.get("cost_usd") or 0)))

    def _discard(self, first: int) -> None:
        """Forget what events from this number on told: a worker's death cut them off, and another one tells it anew."""
        self.pieces = [piece for piece in self.pieces if piece[0] < first]
        self.calls = [call for call in self.calls if call.number < first]
        self.approvals = [asked for asked in self.approvals if asked.number < first]
        self.tools = [tool for tool in self.tools if tool.number < first]
        for tool in self.tools:
            if tool.ended >= first:
                tool.ended, tool.status, tool.latency_ms, tool.error = 0, "", 0.0, ""
