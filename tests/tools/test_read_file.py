"""`read_file`: text below the roots, and nothing else."""

from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest

from app.errors import ConfigurationError
from app.messages import ToolCall
from app.telemetry.traces import Tracing
from app.tools import ToolContext
from app.tools.built_in.read_file import MAX_BYTES, read_file_tool
from app.tools.call import call_tool
from app.tools.registry import Registry
from app.tools.result import ToolResult
from tests.doubles import ADA


async def read(root: Path, path: object, **more: Any) -> ToolResult:
    made = read_file_tool([root])
    call = ToolCall("1", "read_file", {"path": str(path), **more})
    context = ToolContext(ADA, "a-run")
    return await call_tool(Registry([made]), context, call, slot=lambda _: nullcontext(), tracing=Tracing(None))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "root"
    folder.mkdir()
    (tmp_path / "secret.txt").write_text("secret")
    (folder / "a.txt").write_text("one\ntwo\nthree\n")
    (folder / "mark.txt").write_bytes(b"\xef\xbb\xbfmarked")
    (folder / "link.txt").symlink_to("../secret.txt")
    (folder / "picture.png").write_bytes(b"\x89PNG\xff")
    (folder / "nul.txt").write_bytes(b"a\0b")
    (folder / "large.txt").write_bytes(b"x" * (MAX_BYTES + 1))
    return folder


async def test_a_file_is_read_from_any_line_on_and_is_a_source(root: Path) -> None:
    result = await read(root, root / "a.txt")
    assert (result.content, result.sources) == ("one\ntwo\nthree\n", (str(root / "a.txt"),))
    assert (await read(root, root / "a.txt", from_line=3)).content == "three\n"
    assert (await read(root, root / "a.txt", from_line=9)).content == ""
    assert (await read(root, root / "mark.txt")).content == "marked"


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("../secret.txt", "is not below"),
        ("link.txt", "is not below"),
        ("picture.png", "not UTF-8 text"),
        ("nul.txt", "is not text"),
        ("large.txt", "larger than 1048576 bytes"),
        ("", "is no regular file"),
        ("missing.txt", "No such file"),
        ("a.txt/x", "Not a directory"),
    ],
)
async def test_all_else_is_refused_with_the_reason(root: Path, name: str, problem: str) -> None:
    result = await read(root, f"{root}/{name}")
    assert result.status == "error"
    assert problem in result.content
    assert "secret\n" not in result.content


def test_the_model_is_told_where_files_are(root: Path) -> None:
    assert str(root) in read_file_tool([root]).description


def test_a_root_that_is_no_folder_stops_the_start(root: Path) -> None:
    with pytest.raises(ConfigurationError, match="READ_FILE_ROOTS"):
        read_file_tool([root / "a.txt"])
