"""The process that tools' processes are copies of: `python -I template.py`, started by processes.py.

It has loaded what every call takes, and no tool; it holds nothing of the service. What it then does is in copies.py.

Run as a file, since the service's own folder is not where `-I` looks for modules.
"""

import ctypes
import gc
import json
import os
import resource
import socket
import sys
from pathlib import Path
from typing import Any

_DUMPABLE, _CHILD_SUBREAPER, _NO_NEW_PRIVILEGES = 4, 36, 38  # of prctl
_MOST_BYTES = 1_048_576


def main() -> None:
    control = _take_control()
    sys.path[:] = json.loads(control.recv(_MOST_BYTES))
    from app.tools.isolation.copies import Copies  # by the path that the service has

    gc.freeze()
    Copies(control).serve()


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
        Path("/proc/self/oom_score_adj").write_text("1000")  # where memory is short, copies go first
        prctl: Any = ctypes.CDLL(None).prctl
        prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0)
        prctl(_DUMPABLE, 0, 0, 0, 0)  # no copy looks into this process, or into another copy
        prctl(_CHILD_SUBREAPER, 1, 0, 0, 0)  # what leaves its session comes here when its parent ends


if __name__ == "__main__":
    main()
