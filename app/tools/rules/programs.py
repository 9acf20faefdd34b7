"""Command lines of a tool that starts programs: words, not a shell's language."""

import shlex
from collections.abc import Sequence

from app.tools.rules.rule import problem_with

MAX_CHARS = 4_000
_SHELL = frozenset("|&;<>()$`\\*?[]{}~#!\n\r")
"""Characters that mean something to a shell. Nobody needs them who is not asking one."""

_RUNS_OTHERS = """
    sh bash dash zsh ksh fish csh tcsh busybox env sudo su doas nohup nice timeout time xargs find parallel watch script
    setsid stdbuf strace ltrace gdb ssh screen tmux chroot unshare nsenter python python3 perl ruby node awk gawk mawk
    ed ex vi vim emacs make
    """


class Programs:
    """Command lines whose first word is one of these programs. `argv` has the words, to be started without a shell.

    It does not know what a program does with its arguments: allow none that starts others or writes where it is told.
    """

    def __init__(self, *allowed: str) -> None:
        """Raises TypeError for a program that starts whatever its arguments name, for a path, and for none."""
        self.allowed = frozenset(allowed)
        if not allowed or any("/" in name or not name.strip() for name in allowed):
            raise TypeError("Programs takes names of programs without a path, at least one")
        if starters := sorted(self.allowed.intersection(_RUNS_OTHERS.split())):
            raise TypeError(f"Programs: {', '.join(starters)} would start any program that its arguments name")

    def check(self, value: object) -> str | None:
        return problem_with(value, self.argv)

    def argv(self, value: object) -> Sequence[str]:
        """The words of the command line, for `asyncio.create_subprocess_exec`. Raises ValueError."""
        if not isinstance(value, str) or len(value) > MAX_CHARS:
            raise ValueError(f"is no command line of at most {MAX_CHARS} characters")
        if not value.isprintable() or (found := sorted(_SHELL & set(value))):
            shown = " ".join(found) if value.isprintable() else "a line break or another character without a glyph"
            raise ValueError(f"has what only a shell reads: {shown}")
        try:
            words = shlex.split(value)
        except ValueError:
            raise ValueError("has a quote without its end") from None
        if not words or words[0] not in self.allowed:
            raise ValueError(f"does not begin with one of {', '.join(sorted(self.allowed))}")
        return words
