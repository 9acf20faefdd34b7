"""Copies of the template's process. Each is ended, with all that it has started, when the service lets go of its
call."""

import ctypes
import os
import select
import signal
import socket
import struct
import sys
from collections.abc import Callable, Collection
from contextlib import suppress
from pathlib import Path

from app.tools.isolation.child import work_on

_DEATH_SIGNAL = 1  # of prctl
_MOST_DESCRIPTORS = 65_536


class Copies:
    """Those of this process, one for each call."""

    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self._calls: dict[int, socket.socket] = {}
        """Copies by their pid, with what the service holds as long as it wants the call."""
        self._poll = select.poll()
        self._woken, wake = os.pipe()
        for end in (self._woken, wake):
            os.set_blocking(end, False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(wake, warn_on_full_buffer=False)

    def serve(self) -> None:
        """Until the service is gone."""
        self._poll.register(self._control, select.POLLIN)
        self._poll.register(self._woken, select.POLLIN)
        while True:
            ready = {fd for fd, _ in self._poll.poll()}
            if self._woken in ready:
                os.read(self._woken, 4_096)
            for pid, held in list(self._calls.items()):
                if held.fileno() in ready:
                    self._poll.unregister(held)
                    _kill(os.killpg, pid)
            if self._control.fileno() in ready and not self._begin():
                break
            self._bury()
        for pid in self._calls:
            _kill(os.killpg, pid)
        self._end_strays(())

    def _begin(self) -> bool:
        """False where there is no service any more."""
        try:
            _, received, _, _ = socket.recv_fds(self._control, 1, 2)
        except OSError:
            return False
        if len(received) < 2:
            return False
        exchange, held = received
        try:
            pid = os.fork()
        except OSError:
            pid = -1  # the service sees that its ends are closed
        if pid == 0:
            self._become(exchange)
        os.close(exchange)
        holding = socket.socket(fileno=held)
        if pid > 0:
            self._calls[pid] = holding
            self._poll.register(holding, select.POLLIN)
            with suppress(OSError):
                holding.send(b"+")
        else:
            holding.close()
        return True

    def _become(self, exchange: int) -> None:
        """A copy: a process of one call, which does not return."""
        try:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            os.setsid()
            os.closerange(3, exchange)
            os.closerange(exchange + 1, _MOST_DESCRIPTORS)
            if sys.platform == "linux":
                ctypes.CDLL(None).prctl(_DEATH_SIGNAL, signal.SIGKILL, 0, 0, 0)
            work_on(exchange)
        finally:
            os._exit(1)

    def _bury(self) -> None:
        """Tell of those that have ended, and end what they have left."""
        ended = [pid for pid in self._calls if os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)]
        for pid in ended:
            _kill(os.killpg, pid)  # before its number may be another's
            code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
            held = self._calls.pop(pid)
            with suppress(KeyError):
                self._poll.unregister(held)
            with suppress(OSError):
                held.send(struct.pack("!i", code))
            held.close()
        self._end_strays(self._calls)

    def _end_strays(self, alive: Collection[int]) -> None:
        """Processes that have left the session of a call that has ended: their parent is this one now."""
        for pid in _children():
            if pid in alive or os.waitpid(pid, os.WNOHANG)[0]:
                continue
            with suppress(ProcessLookupError):
                if os.getsid(pid) not in alive:
                    os.kill(pid, signal.SIGKILL)


def _kill(how: Callable[[int, int], None], pid: int) -> None:
    with suppress(ProcessLookupError, PermissionError):
        how(pid, signal.SIGKILL)


def _children() -> list[int]:
    try:
        return [int(pid) for pid in Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()]
    except OSError:  # a kernel that does not tell
        return []
