"""Files that decide who may do what: that they were read, or refused, is on record."""

import os
from collections.abc import Sequence
from pathlib import Path

import pytest

from app.access.api_keys import KeyFile
from app.agents.catalog import Agents
from app.audit.entry import Entry
from app.settings import load
from app.tools.mcp.looking import Offer, ToolState
from app.tools.mcp.on_record import Changes
from tests.access.keys import KEY, OTHER, line
from tests.audit.test_on_record import Book

OFFERS: Sequence[tuple[ToolState, tuple[str, ...]]] = (
    ("on", ()),
    ("on", ()),
    ("changed", ()),
    ("changed", ("made up", "also")),
    ("on", ()),
)


def change(path: Path, text: str) -> None:
    path.write_text(text)
    os.utime(path, ns=(1, len(text)))


@pytest.fixture
def book() -> Book:
    return Book()


def told(book: Book) -> list[tuple[str, str, str]]:
    assert {entry.action for entry in book.entries} == {"admin"}
    return [(entry.on, entry.decision, entry.why) for entry in book.entries]


def versions(entries: list[Entry]) -> list[str]:
    return [entry.policy for entry in entries if entry.policy]


def test_keys(book: Book, tmp_path: Path) -> None:
    path = tmp_path / "keys"
    path.write_text(line())
    keys = KeyFile(path, book)
    change(path, line() + line(OTHER))
    keys.refresh()
    change(path, "nonsense")
    keys.refresh()
    assert told(book) == [("api-keys", "allowed", ""), ("api-keys", "allowed", ""), ("api-keys", "refused", "invalid")]
    one, two = versions(book.entries)
    assert one != two
    assert KEY not in str(book.entries)
    again = Book()
    change(path, line())
    KeyFile(path, again)
    assert versions(again.entries) == [one], "two processes with the same keys say so"


def test_agents(book: Book, tmp_path: Path) -> None:
    path = tmp_path / "desk.yaml"
    path.write_text("prompt: Help.\n")
    agents = Agents(load(None, agents_dir=tmp_path), {"demo"}, ("calculator", "clock"), audit=book)
    change(path, "prompt: A secret of the house.\n")
    agents.refresh()
    change(path, "prompt: [\n")
    agents.refresh()
    assert told(book) == [("agents", "allowed", ""), ("agents", "allowed", ""), ("agents", "refused", "invalid")]
    assert len(set(versions(book.entries))) == 2
    assert "secret" not in str(book.entries)


def test_tools_of_mcp_servers(book: Book) -> None:
    changes = Changes()
    changes.audit = book
    for state, new in OFFERS:
        changes.look("files", Offer({"read": state, "later": "unknown"}, new))
    assert [(entry.action, entry.on, entry.decision, entry.why, entry.count) for entry in book.entries] == [
        ("mcp", "files__read", "allowed", "on", 1),
        ("mcp", "files__read", "refused", "changed", 1),
        ("mcp", "files", "refused", "new", 2),
        ("mcp", "files__read", "allowed", "on", 1),
    ]
