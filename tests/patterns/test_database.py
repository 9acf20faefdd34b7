"""Databases of patterns: the same whether compiled or loaded, and loaded from nobody else's file."""

import os
import tempfile
from pathlib import Path

import hyperscan
import pytest

from app.patterns import database as databases
from app.patterns.database import database

PATTERNS = [b"gold[0-9]{3}", b"silver"]
TEXT = b"two silver spoons and gold123"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path / f"agent-api-patterns-{os.getuid()}"


def found(made: hyperscan.Database, text: bytes = TEXT) -> set[int]:
    numbers: set[int] = set()
    made.scan(text, lambda number, *_: numbers.add(number), scratch=hyperscan.Scratch(made))
    return numbers


def never(*_: object, **__: object) -> None:
    raise AssertionError("was compiled")


def test_what_was_compiled_is_loaded_and_finds_the_same(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert found(database(PATTERNS)) == {0, 1}
    [kept] = folder.iterdir()
    assert kept.stat().st_mode & 0o077 == 0
    monkeypatch.setattr(databases, "compiled", never)
    assert found(database(PATTERNS)) == {0, 1}


@pytest.mark.parametrize(("patterns", "flags"), [([b"gold", b"silver"], 0), (PATTERNS, hyperscan.HS_FLAG_CASELESS)])
def test_other_patterns_and_flags_are_another_database(folder: Path, patterns: list[bytes], flags: int) -> None:
    database(PATTERNS)
    database(patterns, flags)
    assert len(list(folder.iterdir())) == 2


@pytest.mark.parametrize("mode", [0o620, 0o602])
def test_a_file_that_others_may_write_to_is_not_loaded(folder: Path, mode: int) -> None:
    database(PATTERNS)
    [kept] = folder.iterdir()
    kept.write_bytes(hyperscan.dumpb(_of_nothing()))
    kept.chmod(mode)
    assert found(database(PATTERNS)) == {0, 1}


def test_a_folder_that_others_may_write_to_is_not_used(folder: Path) -> None:
    folder.mkdir()
    folder.chmod(0o777)
    assert found(database(PATTERNS)) == {0, 1}
    assert not list(folder.iterdir())


def test_a_folder_that_is_a_link_is_not_used(folder: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    folder.symlink_to(other)
    database(PATTERNS)
    assert not list(other.iterdir())


def test_a_file_that_is_no_database_is_compiled_anew(folder: Path) -> None:
    database(PATTERNS)
    [kept] = folder.iterdir()
    kept.write_bytes(b"nonsense")
    assert found(database(PATTERNS)) == {0, 1}


def test_where_nothing_can_be_written_it_is_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", "/nowhere")
    assert found(database(PATTERNS)) == {0, 1}


def test_what_an_image_brings_is_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    built = tmp_path / "built"
    built.mkdir()
    monkeypatch.setattr(databases, "BUILT", built)
    monkeypatch.setattr(databases, "own_folder", lambda **_: built)
    database(PATTERNS)
    monkeypatch.setattr(databases, "own_folder", lambda **_: None)
    monkeypatch.setattr(databases, "compiled", never)
    assert found(database(PATTERNS)) == {0, 1}


def _of_nothing() -> hyperscan.Database:
    made = hyperscan.Database(mode=hyperscan.HS_MODE_BLOCK)
    made.compile(expressions=[b"never here"], flags=0)
    return made
