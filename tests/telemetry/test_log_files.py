"""LOG_FILE and LOG_ERROR_FILE: rotated files beside stdout, whose troubles are not the service's."""

import json
import logging
import os
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from app.settings import load
from app.telemetry import log_files
from app.telemetry.log_files import LogFile
from app.telemetry.logs import configure, log
from tests.conftest import Serve
from tests.logged import restored_log


def written(write: Callable[[], None], **settings: Any) -> bytes:
    """What lands on stdout; the files are complete as well."""
    out = BytesIO()
    opened: list[LogFile] = []
    real = LogFile.__init__

    def init(self: LogFile, *arguments: Any) -> None:
        real(self, *arguments)
        opened.append(self)

    with pytest.MonkeyPatch.context() as patch, restored_log():
        patch.setattr(LogFile, "__init__", init)
        configure(load(None, **settings), out)
        write()
        for file in opened:
            file.close()
    return out.getvalue()


def test_a_file_has_every_line_and_the_other_those_of_errors(tmp_path: Path) -> None:
    def write() -> None:
        log.info("a", text="Grüße, 東京")
        log.error("b")
        logging.getLogger("elsewhere").critical("c")
        log.warning("d")

    out = written(write, log_file=str(tmp_path / "all"), log_error_file=str(tmp_path / "errors"))
    assert (tmp_path / "all").read_bytes() == out
    errors = [json.loads(line) for line in (tmp_path / "errors").read_bytes().splitlines()]
    assert [(line["event"], line["level"]) for line in errors] == [("b", "error"), ("c", "error")]


def test_people_read_the_same_in_the_file_as_on_the_console(tmp_path: Path) -> None:
    out = written(lambda: log.info("a", number=1), log_format="console", log_file=str(tmp_path / "all"))
    assert b"number=1" in out
    assert (tmp_path / "all").read_bytes() == out


@pytest.mark.parametrize("backups", [0, 1, 3])
def test_a_file_is_rotated_at_its_size_and_so_many_are_kept(tmp_path: Path, backups: int) -> None:
    def write() -> None:
        for number in range(200):
            log.info("line", number=number, text="ü" * 50)

    out = written(write, log_file=str(tmp_path / "all"), log_file_max_bytes=4096, log_file_backups=backups)
    names = ["all", *(f"all.{number}" for number in range(1, backups + 1))]
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(names)
    kept = b"".join((tmp_path / name).read_bytes() for name in reversed(names))
    assert out.endswith(kept)
    assert all((tmp_path / name).stat().st_size <= 4096 for name in names)
    assert len(kept) > 4096 * backups


def test_a_line_that_is_larger_than_a_file_is_written_whole(tmp_path: Path) -> None:
    out = written(lambda: log.info("large", text="x" * 10_000), log_file=str(tmp_path / "all"), log_file_max_bytes=1024)
    assert (tmp_path / "all").read_bytes() == out


def test_a_disk_that_fails_is_told_once_and_the_file_goes_on_when_it_can(tmp_path: Path) -> None:
    folder = tmp_path / "logs"
    folder.mkdir()
    troubles: list[tuple[str, str]] = []
    file = LogFile(str(folder / "all"), 1024, 1, lambda path, problem: troubles.append((path, problem)))
    full = os.open("/dev/full", os.O_WRONLY)
    stream = file._handler.stream
    assert stream is not None
    kept = os.dup(stream.fileno())
    os.dup2(full, stream.fileno())
    for _ in range(3):
        file.write(b'{"event": "lost"}\n')
    file.write(b'{"event": "kept"}\n')
    file.close()
    os.close(full)
    os.close(kept)
    assert troubles == [(str(folder / "all"), "No space left on device")]
    assert (folder / "all").read_bytes().endswith(b'{"event": "kept"}\n')


def test_a_disk_that_is_too_slow_costs_lines_of_the_file_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_files, "MAX_WAITING_BYTES", 100)
    goes, troubles = Event(), list[str]()
    file = LogFile(str(tmp_path / "all"), 10_240, 1, lambda _, problem: troubles.append(problem))
    handle = file._handler.handle
    monkeypatch.setattr(file._handler, "handle", lambda record: goes.wait(10) and handle(record))
    for _ in range(100):
        file.write(b"x" * 49 + b"\n")
    goes.set()
    file.close()
    assert troubles == ["the disk is too slow, and lines were left out"]
    assert (tmp_path / "all").stat().st_size == 150


def test_a_service_whose_log_folder_vanishes_serves_on_and_says_so_once(serve: Serve, tmp_path: Path) -> None:
    folder = tmp_path / "logs"
    folder.mkdir()
    service = serve(log_file=folder / "all", log_file_max_bytes=1024, log_error_file=folder / "errors")
    service.chat("hi")
    folder.rename(tmp_path / "elsewhere")  # at once, while the service writes into it
    for _ in range(20):
        assert service.chat("hi").status_code == 200
    assert service.wait_for_event("log_file.failed")["error"] == "No such file or directory"
    assert len(service.log("log_file.failed")) == 1
