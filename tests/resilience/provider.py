"""A provider that misbehaves on a schedule and counts exactly: a real server in a thread of its own.

It speaks OpenAI's chat completions, Anthropic's messages and Ollama's chat. What it does to a call is decided by the
model's schedule, else by the model's name; see `failures`.
"""

import asyncio
import socket
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from threading import Event, Thread
from typing import Self

from tests.resilience.account import Account
from tests.resilience.acts import Act, Call
from tests.resilience.connection import Connection
from tests.resilience.failures import failing_like
from tests.resilience.quota import Quota
from tests.resilience.schedules import Schedule


class Provider:
    """Listens from `with` on; `stop` and `resume` close and open its port, which stays the same."""

    def __init__(self) -> None:
        self.accounts: dict[str, Account] = defaultdict(Account)
        self.connections: set[Connection] = set()
        self.probes: list[float] = []
        self.may_probe = True
        """Whether it answers what is no model call, or with 503."""
        self.quota: Quota | None = None
        self._schedules: dict[str, Schedule] = {}
        self._started = Event()
        self._thread = Thread(target=lambda: asyncio.run(self._run()), daemon=True)
        self._server: asyncio.Server | None = None
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port: int = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._started.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join(10)

    async def _run(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stopping = asyncio.Event()
        await self._listen()
        self._started.set()
        await self._stopping.wait()
        self._close()

    async def _listen(self) -> None:
        def connected() -> Connection:
            return Connection(self)

        self._server = await self._loop.create_server(connected, "127.0.0.1", self.port, backlog=4096)

    def _close(self) -> None:
        if self._server is not None:
            self._server.close()
        for connection in list(self.connections):
            connection.abort()

    async def _stop(self) -> None:
        self._close()

    def stop(self) -> None:
        """From now on connections are refused, and those that are open are reset."""
        asyncio.run_coroutine_threadsafe(self._stop(), self._loop).result(10)

    def resume(self) -> float:
        """Listens again. Returns since when, in time.monotonic()."""
        asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result(10)
        return time.monotonic()

    def does(self, model: str, schedule: Schedule) -> None:
        """What the model does from now on; its calls are numbered anew."""
        self.accounts[model] = Account()
        self.schedule(model, schedule)

    def schedule(self, model: str, schedule: Schedule) -> None:
        """What the model does from now on, on the same account."""
        self._schedules[model] = schedule

    def act_for(self, call: Call) -> Act:
        account = self.accounts[call.model]
        schedule, number = self._schedules.get(call.model), account.calls
        account.begun.append(time.monotonic())
        act = failing_like(call.model)(call) if schedule is None else schedule(number, call)
        return act if self.quota is None else self.quota.apply(act)

    def open_calls(self, model: str | None = None) -> int:
        """Calls that are being answered, of all models or of this one."""
        called = [connection.call for connection in list(self.connections)]
        return sum(call is not None and model in (None, call.model) for call in called)

    @property
    def calls(self) -> int:
        return sum(account.calls for account in self.accounts.values())

    def snapshot(self) -> Mapping[str, int]:
        """How often each model was called."""
        return {model: account.calls for model, account in self.accounts.items()}

    def wait_until(self, reached: Callable[[Self], bool], seconds: float = 10) -> float:
        """Returns after how many seconds it was reached."""
        start = time.monotonic()
        while not reached(self):
            assert time.monotonic() < start + seconds, f"not reached within {seconds} s"
            time.sleep(0.005)
        return time.monotonic() - start
