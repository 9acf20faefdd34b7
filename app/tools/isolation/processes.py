"""Processes for calls: copies of one that is started with nothing of the service, at the first call."""

import asyncio
import atexit
import ctypes
import json
import os
import socket
import struct
import subprocess
import sys
from asyncio import StreamReader, StreamWriter
from contextlib import suppress
from functools import cache
from pathlib import Path

_TEMPLATE = str(Path(__file__).with_name("template.py"))
_KEPT = ("PATH", "LANG", "TZ")
"""What the process is told of the environment."""

BEGIN_SECONDS = 20.0
"""That the template may take for a copy of itself; longer, and another one is started."""
END_SECONDS = 5.0
_SET_DUMPABLE = 4  # of prctl


class CallProcess:
    """One call's: `reader` and `writer` are its ends of the conversation."""

    def __init__(self, template: "Template", exchange: tuple[StreamReader, StreamWriter], held: socket.socket) -> None:
        self.reader, self.writer = exchange
        self._template = template
        self._held = held
        self._code: int | None = None

    async def begun(self) -> None:
        """Return once it is there. Raises ConnectionError where it does not come to be."""
        try:
            async with asyncio.timeout(BEGIN_SECONDS):
                found = await asyncio.get_running_loop().sock_recv(self._held, 1)
        except TimeoutError:
            self._template.discard()
            raise ConnectionResetError from None
        if not found:
            raise ConnectionResetError

    async def end(self) -> int:
        """End it and all that it has started, and return its exit code: -9 where nobody can tell."""
        if self._code is None:
            self._code = await self._ended()
        return self._code

    async def _ended(self) -> int:
        self.writer.close()
        code = b""
        try:
            with suppress(OSError):
                self._held.shutdown(socket.SHUT_WR)
            async with asyncio.timeout(END_SECONDS):
                while part := await asyncio.get_running_loop().sock_recv(self._held, 64):
                    code += part
        except TimeoutError:
            self._template.discard()
        except OSError:
            pass
        finally:
            self._held.close()
        return int(struct.unpack("!i", code[-4:])[0]) if len(code) >= 4 else -9


class Template:
    """The process that calls' processes are copies of. Used from one thread."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None

    async def process(self) -> CallProcess:
        """A process for one call; it may not be there yet. Raises OSError."""
        (ours, theirs), (held, holding) = socket.socketpair(), socket.socketpair()
        with theirs, holding:
            try:
                self._send(theirs, holding)
            except OSError:  # it was ended, by a tool maybe
                self.discard()
                self._send(theirs, holding)
        for each in (ours, held):
            each.setblocking(False)
        return CallProcess(self, await asyncio.open_connection(sock=ours), held)

    def _send(self, *ends: socket.socket) -> None:
        control = self._control
        if control is None or self._process is None or self._process.poll() is not None:
            self.discard()
            control = self._start()
        socket.send_fds(control, [b"+"], [end.fileno() for end in ends])

    def _start(self) -> socket.socket:
        hide()
        control, theirs = socket.socketpair(type=socket.SOCK_SEQPACKET)
        with theirs:
            self._process = subprocess.Popen(  # noqa: S603 - this very program
                [sys.executable, "-I", "-B", _TEMPLATE],
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                cwd="/",
                env={name: os.environ[name] for name in _KEPT if name in os.environ},
                start_new_session=True,
            )
        self._control = control
        control.sendall(json.dumps([str(Path(part).absolute()) for part in sys.path]).encode())
        control.setblocking(False)  # a template that was stopped must not stop the service
        return control

    def discard(self) -> None:
        """End it, and all copies with it."""
        process, control = self._process, self._control
        self._process = self._control = None
        if control is not None:
            control.close()
        if process is not None:
            process.kill()
            process.wait()


template = Template()
atexit.register(template.discard)


@cache
def hide() -> None:
    """Have the kernel keep this process's memory and environment from others of the same user, such as its tools'."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_SET_DUMPABLE, 0, 0, 0, 0)
