"""Verifies the record of a store, and says on stdout what came of it."""

import sys
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

from app.audit.heads import read_kept
from app.audit.signing import read_public_key, signer_of
from app.audit.stream import Stream
from app.audit.verifying import Verdict, Verification
from app.errors import ConfigurationError
from app.state.store import Store

_ATTEMPTS = 5
"""A pass during which records are trimmed is made anew."""


async def verify_and_tell(store: Store, key_file: Path | None, public_keys: Sequence[Path], heads: str | None) -> int:
    """Returns the exit status. Raises ConfigurationError and StateUnavailable."""
    keys = [_public_key(path) for path in public_keys]
    if not keys and key_file is not None:
        keys = [signer_of(key_file).public_key]
    verdict = await verify(store, list(_lines(heads)), keys)
    for line in wording(verdict):
        print(line)  # noqa: T201
    return 1 if verdict.found else 0


async def verify(store: Store, heads: Collection[bytes] = (), public_keys: Collection[str] = ()) -> Verdict:
    """Raises StateUnavailable."""
    for _ in range(_ATTEMPTS):
        kept = await read_kept(store)
        verification = Verification(kept, heads, public_keys)
        async for page in Stream(store).pages():
            for stored in page:
                verification.add(stored)
        if (await read_kept(store)).trimmed == kept.trimmed:
            break
    return verification.end()


def wording(verdict: Verdict) -> Iterator[str]:
    """The verdict as lines for people."""
    for problem in verdict.problems:
        where = f"{problem.writer} {problem.sequence}: " if problem.writer else ""
        yield f"{problem.kind}: {where}{problem.detail}"
    if verdict.found > len(verdict.problems):
        yield f"and {verdict.found - len(verdict.problems)} more"
    for note in verdict.notes:
        yield f"note: {note}"
    outcome = "holds together" if not verdict.found else f"does not hold together: {verdict.found} problems"
    yield f"The record of {verdict.records} entries by {verdict.writers} writers, {verdict.heads} heads, {outcome}."


def _lines(heads: str | None) -> Iterator[bytes]:
    """Those that may be heads. Raises ConfigurationError."""
    if heads is None:
        return
    try:
        if heads == "-":
            yield from (line for line in sys.stdin.buffer if b'"signature"' in line)
        else:
            with Path(heads).open("rb") as file:
                yield from (line for line in file if b'"signature"' in line)
    except OSError as error:
        raise ConfigurationError(f"--heads: {heads}: {error.strerror}") from None


def _public_key(path: Path) -> str:
    try:
        return read_public_key(path)
    except OSError as error:
        raise ConfigurationError(f"--public-key: {path}: {error.strerror}") from None
    except ValueError:
        raise ConfigurationError(f"--public-key: {path}: is not an Ed25519 public key in PEM") from None
