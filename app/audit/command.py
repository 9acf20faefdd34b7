"""`python -m app audit …`: verify and export the record in the store of REDIS_URL, show heads, make a key."""

import asyncio
import sys
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from app.errors import ConfigurationError, StateUnavailable
from app.settings import Settings, load
from app.state.redis import connect
from app.state.store import Store

_STATUS = "Leaves with 0 when all holds together, 1 when it does not, 2 when it cannot be verified."
_Work = Callable[[Store, Settings, Namespace], Coroutine[Any, Any, int]]


def add_to(commands: Any) -> None:
    """Add `audit` to the command line's commands."""
    audit = commands.add_parser("audit", help="verify and export the record of what was decided")
    audit = audit.add_subparsers(required=True, metavar="COMMAND")
    verify = _add(audit, "verify", _verify, "look for edits, forks, gaps, cut ends and missing writers", _STATUS)
    verify.add_argument(
        "--heads", metavar="FILE", help="signed heads that were kept elsewhere, such as the log's lines; `-`: stdin"
    )
    verify.add_argument(
        "--public-key",
        metavar="FILE",
        type=Path,
        action="append",
        default=[],
        help="public key (PEM) that may have signed; that of AUDIT_KEY_FILE when left out; may be given again",
    )
    export = _add(audit, "export", _export, "write the records to stdout, a line of JSON each")
    export.add_argument("--since", type=_time, metavar="TIME", help="from this time on (ISO 8601, UTC unless it says)")
    export.add_argument("--until", type=_time, metavar="TIME", help="to this time, excluded")
    export.add_argument("--format", choices=["jsonl"], default="jsonl")
    _add(audit, "heads", _heads, "write the last signed head of each writer to stdout, a line of JSON each")
    keygen = audit.add_parser("keygen", help="make a key for AUDIT_KEY_FILE; the public key is written beside it")
    keygen.add_argument("file", type=Path, help="where to write the private key, which only its owner may read")
    keygen.set_defaults(run=_keygen)


def _add(commands: Any, name: str, work: _Work, about: str, epilog: str = "") -> ArgumentParser:
    command: ArgumentParser = commands.add_parser(name, help=about, description=about, epilog=epilog)
    command.set_defaults(run=_with_store(work))
    return command


def _with_store(work: _Work) -> Callable[[Namespace], int]:
    async def run(options: Namespace) -> int:
        settings = load()
        if settings.redis_url is None:
            raise ConfigurationError("REDIS_URL: is not set; a record without a server ends with its process")
        store = connect(settings.redis_url, settings.redis_ca_file, tls_strict=settings.tls_strict)
        try:
            return await work(store, settings, options)
        finally:
            await store.aclose()

    def command(options: Namespace) -> int:
        try:
            return asyncio.run(run(options))
        except ConfigurationError as error:
            return _fail(str(error))
        except StateUnavailable as error:
            return _fail(f"REDIS_URL: the store does not answer: {error.__cause__}")
        except BrokenPipeError:
            return _fail("nobody reads the output any more")

    return command


async def _verify(store: Store, settings: Settings, options: Namespace) -> int:
    from app.audit.reporting import verify_and_tell

    return await verify_and_tell(store, settings.audit_key_file, options.public_key, options.heads)


async def _export(store: Store, _: Settings, options: Namespace) -> int:
    from app.audit.exporting import export

    return await export(store, options.since, options.until)


async def _heads(store: Store, _: Settings, __: Namespace) -> int:
    from app.audit.heads import read_kept

    for head in (await read_kept(store)).heads.values():
        print(head.decode())  # noqa: T201
    return 0


def _keygen(options: Namespace) -> int:
    from app.audit.signing import make_key_files

    try:
        public = make_key_files(options.file)
    except OSError as error:
        return _fail(f"{error.filename}: {error.strerror}")
    print(f"AUDIT_KEY_FILE={options.file}; whoever verifies has {public}", file=sys.stderr)  # noqa: T201
    return 0


def _time(text: str) -> datetime:
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        raise ArgumentTypeError("must be a time such as 2026-11-30 or 2026-11-30T12:00:00Z") from None
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def _fail(reason: str) -> int:
    print(reason, file=sys.stderr)  # noqa: T201
    return 2
