"""Runs that are submitted, and followed to their ends as any client would."""

import asyncio
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from app.progress.events import Event
from app.progress.following import follow
from app.progress.service import Service as Client


@dataclass
class Followed:
    """A run, and each of its events with the time at which it arrived, in time.monotonic()."""

    run_id: str
    events: list[tuple[float, Event]] = field(default_factory=list)
    record: Mapping[str, Any] = field(default_factory=dict)

    @property
    def over(self) -> bool:
        return bool(self.record)

    @property
    def resumptions(self) -> Sequence[float]:
        """When each of them was seen."""
        return [at for at, event in self.events if event.name == "run.resumed"]

    def faults(self) -> Sequence[str]:
        """Numbers that are missing or come twice, ends that are none or several."""
        numbers = [event.id for _, event in self.events]
        found = [] if numbers == list(range(1, len(numbers) + 1)) else [f"{self.run_id}: numbers {numbers}"]
        ends = [event.name for _, event in self.events if event.name in ("run.finished", "run.failed")]
        if len(ends) != 1 or self.record.get("last_event") != len(numbers):
            found.append(f"{self.run_id}: ends {ends}, last event {self.record.get('last_event')} of {len(numbers)}")
        return found


async def submit(client: Client, message: str, **fields: Any) -> Followed:
    key = {"Idempotency-Key": str(uuid.uuid4())}
    told = await client.post("/runs", {"message": message, **fields}, **key)
    return Followed(told["run_id"])


async def follow_to_its_end(client: Client, run: Followed) -> None:
    async for news in follow(client, run.run_id):
        if isinstance(news, Event):
            run.events.append((time.monotonic(), news))
    run.record = await client.get(f"/runs/{run.run_id}")


async def submit_and_follow(client: Client, messages: Sequence[str], runs: list[Followed], at_once: int = 16) -> None:
    """All of them; `runs` grows as they are accepted."""
    waiting = iter(messages)

    async def one_by_one(group: asyncio.TaskGroup) -> None:
        for message in waiting:
            runs.append(run := await submit(client, message))
            group.create_task(follow_to_its_end(client, run))

    async with asyncio.TaskGroup() as group:
        for _ in range(at_once):
            group.create_task(one_by_one(group))
