"""`python -m app keys new`: makes an API key."""

import argparse
import re
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import msgspec

from app.limits.api_keys import KeyLine, fingerprint, new_secret, parse
from app.limits.principal import DEFAULT_TIER

_NOTE = "The first line is the key, shown this once; the second goes into API_KEYS_FILE."


def command(arguments: Sequence[str]) -> int:
    """Runs `keys …`. Prints a key and its line of the file on stdout; returns the exit status."""
    options = _parser().parse_args(arguments)
    secret = new_secret()
    expires = None
    if options.expires_days is not None:
        expires = (datetime.now(UTC) + timedelta(days=options.expires_days)).replace(microsecond=0)
    line = msgspec.json.encode(
        KeyLine(
            sha256=fingerprint(secret),
            name=options.name or options.user,
            user=options.user,
            scopes=tuple(re.split(r"[,\s]+", options.scopes.strip(", "))),
            team=options.team,
            tier=options.tier,
            expires=expires,
        )
    )
    try:
        parse(line)
    except ValueError as error:
        print(f"agent-api: {str(error).removeprefix('line 1: ')}", file=sys.stderr)  # noqa: T201
        return 2
    print(_NOTE, file=sys.stderr)  # noqa: T201
    print(secret, line.decode(), sep="\n")  # noqa: T201
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m app", description="Without a command: serve.")
    keys = parser.add_subparsers(required=True, metavar="keys").add_parser("keys", help="API keys")
    new = keys.add_subparsers(required=True, metavar="new").add_parser("new", help="make a key", description=_NOTE)
    new.add_argument("--user", required=True, help="who calls with it: 1 to 64 of A-Z a-z 0-9 _ -")
    new.add_argument("--name", help="what it is for; the user when left out")
    new.add_argument("--scopes", default="chat,tools:*", help="comma-separated: chat, tools:NAME, tools:*, runs, admin")
    new.add_argument("--team")
    new.add_argument("--tier", default=DEFAULT_TIER)
    new.add_argument("--expires-days", type=_days, metavar="DAYS", help="never when left out")
    return parser


def _days(text: str) -> float:
    days = float(text)
    if not 0 < days <= 36_500:
        raise ValueError
    return days
