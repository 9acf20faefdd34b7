"""A process that has loaded the app's code, and becomes a service as often as it is asked: `python -m tests.nursery`.

A line of JSON on stdin asks for a service; one on stdout tells its process id, another one its exit status when it has
ended. Each service is a fork that has an environment, a folder and outputs of its own, then does what `python -m app`
does, to the end of the interpreter. Loading the code is most of what a start costs: here it is paid once.
"""

import gc
import json
import os
import select
import signal
import socket
import sys
import time
from typing import Any

from app import __main__ as app
from app import server, worker_process
from app.audit import build
from app.durable.engines import in_process as queue
from app.redaction import engine
from app.safety import input_guard
from app.state import in_process as store

LOADED = (server, worker_process, build, queue, engine, input_guard, store)
"""What a service with the default settings loads."""


def serve_forks() -> dict[str, Any] | None:
    """Returns twice: in each fork with what was asked for, and with None when nobody asks any more."""
    ended, wake = socket.socketpair()
    for end in (ended, wake):
        end.setblocking(False)
    signal.set_wakeup_fd(wake.fileno())
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a tester's Ctrl-C ends the tests, which end this
    gc.freeze()  # the forks share what is loaded
    unread = b""
    while True:
        ready, _, _ = select.select([0, ended.fileno()], [], [])
        if ended.fileno() in ready:
            ended.recv(4096)
            _tell_statuses()
        if 0 not in ready:
            continue
        if not (read := os.read(0, 65536)):
            return None
        *lines, unread = (unread + read).split(b"\n")
        for line in lines:
            if not (pid := os.fork()):
                signal.set_wakeup_fd(-1)
                ended.close()
                wake.close()
                return dict(json.loads(line))
            _tell({"started": pid})


def _tell_statuses() -> None:
    try:
        while (found := os.waitpid(-1, os.WNOHANG))[0]:
            _tell({"ended": found[0], "status": os.waitstatus_to_exitcode(found[1])})
    except ChildProcessError:
        return


def _tell(message: dict[str, int]) -> None:
    os.write(1, json.dumps(message).encode() + b"\n")


def become(asked: dict[str, Any]) -> int:
    """Runs the app as asked. Returns its exit status."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.chdir(asked["folder"])
    for number, path in enumerate((os.devnull, asked["stdout"], asked["stderr"])):
        opened = os.open(path, os.O_WRONLY if number else os.O_RDONLY)
        os.dup2(opened, number)
        os.close(opened)
    os.environ.clear()
    os.environ.update(asked["environment"])
    time.tzset()
    sys.path[0] = asked["folder"]
    sys.argv[1:] = asked["arguments"]
    return app.main()


if __name__ == "__main__":
    wanted = serve_forks()
    if wanted is not None:
        sys.exit(become(wanted))
