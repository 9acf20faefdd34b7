"""The process that tools' processes are copies of: `python -I template.py`, started by processes.py.

It has loaded what every call takes, and no tool; it holds nothing of the service. Each call gets a copy (fork), which
is ended, with whatever it has started, when the service lets go of the call or is gone itself.

Run as a file, since the service's own folder is not where `-I` looks for modules.
"""

import ctypes
import gc
import json
import os
import resource
import select
import signal
import socket
import struct
import sys
from contextlib import suppress
from typing import Any

_DEATH_SIGNAL, _DUMPABLE, _CHILD_SUBREAPER, _NO_NEW_PRIVILEGES = 1, 4, 36, 38  # of prctl
_MOST_BYTES = 1_048_576


def main() -> None:
    control = _take_control()
    sys.path[:] = json.loads(control.recv(_MOST_BYTES))
    from app.tools.isolation import child, work  # noqa: F401 - by the path that the service has; for the copies

    gc.freeze()
    _Template(control, child.work_on).serve()


def _take_control() -> socket.socket:
    """The service's end, out of the reach of `input` and of the tools."""
    _protect()
    control = socket.socket(fileno=os.dup(0))
    nothing = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1, 2):
        os.dup2(nothing, standard)
    return control


def _protect() -> None:
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        with open("/proc/self/oom_score_adj", "w") as file:  # noqa: PTH123 - where memory is short, copies go first
            file.write("1000")
        prctl: Any = ctypes.CDLL(None).prctl
        prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0)
        prctl(_DUMPABLE, 0, 0, 0, 0)  # no copy looks into this process, or into another copy
        prctl(_CHILD_SUBREAPER, 1, 0, 0, 0)  # what leaves its session comes here when its parent ends


class _Template:
    def __init__(self, control: socket.socket, work_on: Any) -> None:
        self._control = control
        self._work_on = work_on
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
            os.closerange(exchange + 1, 65_536)
            if sys.platform == "linux":
                ctypes.CDLL(None).prctl(_DEATH_SIGNAL, signal.SIGKILL, 0, 0, 0)
            self._work_on(exchange)
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

    def _end_strays(self, alive: Any) -> None:
        """Processes that have left the session of a call that has ended: their parent is this one now."""
        for pid in _children():
            if pid in alive or os.waitpid(pid, os.WNOHANG)[0]:
                continue
            with suppress(ProcessLookupError):
                if os.getsid(pid) not in alive:
                    os.kill(pid, signal.SIGKILL)


def _kill(how: Any, pid: int) -> None:
    with suppress(ProcessLookupError, PermissionError):
        how(pid, signal.SIGKILL)


def _children() -> list[int]:
    try:
        with open(f"/proc/self/task/{os.getpid()}/children") as file:  # noqa: PTH123
            return [int(pid) for pid in file.read().split()]
    except OSError:  # a kernel that does not tell
        return []


if __name__ == "__main__":
    main()
