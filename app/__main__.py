"""`python -m app`: serves; `keys …`: makes API keys; `agents …`: checks agents' files; `runs …`, `batches …`: asks a
service."""

import sys
from argparse import ArgumentParser
from collections.abc import Sequence

from app.access import keys_command


def main() -> int:
    """Returns the exit status."""
    if sys.argv[1:]:
        return command(sys.argv[1:])
    from app import server

    return server.serve()


def command(arguments: Sequence[str]) -> int:
    """What is not serving: no part of the service is started for it."""
    from app.agents import command as agents_command
    from app.progress import command as progress_command

    parser = ArgumentParser("python -m app", description="Without a command: serve.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    keys_command.add_to(commands)
    agents_command.add_to(commands)
    progress_command.add_to(commands)
    options = parser.parse_args(arguments)
    return int(options.run(options))


if __name__ == "__main__":
    sys.exit(main())
