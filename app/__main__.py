"""`python -m app`: serves; `worker`: works on background runs; `keys …`: makes API keys; `agents …`: checks agents'
files; `tools …`: pins tools of MCP servers; `audit …`: verifies the record of what was decided; `runs …`, `batches …`,
`approvals …`: asks a service."""

import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence

from app.access import keys_command


def main() -> int:
    """Returns the exit status."""
    if sys.argv[1:]:
        return command(sys.argv[1:])
    from app import server

    return server.serve()


def command(arguments: Sequence[str]) -> int:
    """What is not serving: only what a command needs is loaded for it."""
    from app.agents import command as agents_command
    from app.audit import command as audit_command
    from app.progress import approvals_command
    from app.progress import command as progress_command
    from app.tools.mcp import command as mcp_command

    parser = ArgumentParser("python -m app", description="Without a command: serve.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    keys_command.add_to(commands)
    mcp_command.add_to(commands)
    agents_command.add_to(commands)
    audit_command.add_to(commands)
    progress_command.add_to(commands)
    approvals_command.add_to(commands)
    worker = commands.add_parser("worker", help="work on background runs, and serve nobody")
    worker.set_defaults(run=_work)
    options = parser.parse_args(arguments)
    return int(options.run(options))


def _work(_: Namespace) -> int:
    from app import worker_process

    return worker_process.work()


if __name__ == "__main__":
    sys.exit(main())
