"""`python -m app keys new`: makes an API key."""

import os
import re
import sys
from argparse import ArgumentTypeError, Namespace
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from app.access.api_keys import KeyLine, fingerprint, new_secret, parse
from app.access.principal import DEFAULT_TIER, SCOPE
from app.audit.entry import Entry
from app.errors import ConfigurationError, StateUnavailable

_NOTE = "The first line is the key, shown this once; the second goes into API_KEYS_FILE."

_IS_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}").fullmatch
_IS_SCOPE = re.compile(SCOPE).fullmatch
_SCOPES = "chat, tools:NAME, tools:*, agents:NAME, agents:*, runs, admin"
_MAX_DAYS = 36_500


def new_key(options: Namespace) -> int:
    """Prints a key and its line of the file on stdout; returns the exit status. Where REDIS_URL is set, that
    is on record beforehand."""
    if os.environ.get("REDIS_URL") and not _is_on_record(options.user):
        return 2
    secret = new_secret()
    expires = None
    if options.expires_days is not None:
        expires = (datetime.now(UTC) + timedelta(days=options.expires_days)).replace(microsecond=0)
    line = msgspec.json.encode(
        KeyLine(
            sha256=fingerprint(secret),
            name=options.name or options.user,
            user=options.user,
            scopes=options.scopes,
            team=options.team,
            tier=options.tier,
            expires=expires,
        )
    )
    parse(line)  # what is printed is what a file takes
    print(_NOTE, file=sys.stderr)  # noqa: T201
    print(secret, line.decode(), sep="\n")  # noqa: T201
    return 0


def _is_on_record(user: str) -> bool:
    from app.audit.once import put_on_record  # with the settings and the store, of which most keys need neither

    try:
        put_on_record(Entry("admin", "allowed", on=f"api-key:{user}", why="made"))
    except (ConfigurationError, StateUnavailable) as error:
        print(f"REDIS_URL is set, but this cannot be put on record: {error}", file=sys.stderr)  # noqa: T201
        return False
    return True


def add_to(commands: Any) -> None:
    """Add `keys` to the command line's commands."""
    keys = commands.add_parser("keys", help="make API keys")
    new = keys.add_subparsers(required=True, metavar="new").add_parser("new", help="make a key", description=_NOTE)
    new.set_defaults(run=new_key)
    new.add_argument("--user", type=_name, required=True, help="who calls with it: 1 to 64 of A-Z a-z 0-9 _ -")
    new.add_argument("--name", type=_label, help="what it is for; the user when left out")
    new.add_argument(
        "--scopes",
        type=_scopes,
        default="chat,tools:*",
        help=f"comma-separated: {_SCOPES}",
    )
    new.add_argument("--team", type=_name)
    new.add_argument("--tier", type=_name, default=DEFAULT_TIER)
    new.add_argument("--expires-days", type=_days, metavar="DAYS", help="never when left out")


def _name(text: str) -> str:
    if not _IS_NAME(text):
        raise ArgumentTypeError("must be 1 to 64 of A-Z a-z 0-9 _ -")
    return text


def _label(text: str) -> str:
    if not 0 < len(text) <= 100 or not text.isprintable():
        raise ArgumentTypeError("must be 1 to 100 printable characters")
    return text


def _scopes(text: str) -> tuple[str, ...]:
    scopes = tuple(scope for scope in re.split("[, ]+", text) if scope)
    if not all(map(_IS_SCOPE, scopes)):
        raise ArgumentTypeError(f"must be of {_SCOPES}, with commas between them")
    return scopes


def _days(text: str) -> float:
    try:
        days = float(text)
    except ValueError:
        days = 0
    if not 0 < days <= _MAX_DAYS:
        raise ArgumentTypeError(f"must be a number of days, above 0 and at most {_MAX_DAYS}")
    return days
