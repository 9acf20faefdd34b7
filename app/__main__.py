"""`python -m app`: serves; `python -m app keys …`: makes API keys."""

import sys

from app import server
from app.access import keys_command as keys


def main() -> int:
    """Returns the exit status."""
    if sys.argv[1:]:
        return keys.command(sys.argv[1:])
    return server.serve()


if __name__ == "__main__":
    sys.exit(main())
