"""Paths: whatever leads out of the roots is refused, when it is checked and when it is opened."""

import os
import socket
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.tools.rules import Under


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`data` is the root; `outside` and `data2` are not."""
    top = Path(os.path.realpath(tmp_path_factory.mktemp("tree")))
    for folder in ("data/deep/er", "data2", "outside"):
        (top / folder).mkdir(parents=True)
    for file in ("data/a.txt", "data/deep/er/b.txt", "data2/c.txt", "outside/secret.txt"):
        (top / file).write_text(file)
    links = {
        "data/in": "deep/er",
        "data/file": "../outside/secret.txt",
        "data/folder": "../outside",
        "data/absolute": str(top / "outside" / "secret.txt"),
        "data/chain": "file",
        "data/loop": "loop",
        "data/proc": "/proc/self",
        "data/root": "/",
        "outside/back": "../data",
    }
    for name, target in links.items():
        (top / name).symlink_to(target)
    os.mkfifo(top / "data" / "fifo")
    with socket.socket(socket.AF_UNIX) as made, suppress(OSError):
        made.bind(str(top / "data" / "socket"))
    return top


@pytest.mark.parametrize(
    "path", ["data/a.txt", "data/in/b.txt", "data/deep/../a.txt", "data//a.txt", "data/./a.txt", "outside/back/a.txt"]
)
def test_files_below_the_root_are_opened_by_whichever_way(tree: Path, path: str) -> None:
    files = Under(tree / "data")
    with files.open(f"{tree}/{path}") as file:
        assert file.read().decode().startswith("data/")


@pytest.mark.parametrize(
    "path",
    [
        "outside/secret.txt",
        "data/../outside/secret.txt",
        "data/deep/../../outside/secret.txt",
        "data/file",
        "data/chain",
        "data/absolute",
        "data/folder/secret.txt",
        "data/loop/../../outside/secret.txt",
        "data/in/../../../outside/secret.txt",
        "data2/c.txt",
        "data/root/etc/passwd",
        "data/proc/environ",
        "data/a.txt\0",
        "data/../data2/c.txt",
    ],
)
def test_what_leads_out_is_refused(tree: Path, path: str) -> None:
    files = Under(tree / "data")
    assert files.check(f"{tree}/{path}")
    with pytest.raises(ValueError, match="is n"):
        files.open(f"{tree}/{path}")


@pytest.mark.parametrize(
    "path",
    ["/proc/self/environ", "/proc/1/root/etc/passwd", "/dev/zero", "/sys/kernel", "/proc/self/mem", "/dev/stdin"],
)
def test_not_even_the_whole_disk_as_a_root_has_the_kernels_files(path: str) -> None:
    assert Under("/").check("/etc/passwd") is None
    assert Under("/").check(path)


@pytest.mark.parametrize("value", ["a.txt", "./data", "~/x", "", " ", 7, None, b"/data", "file:///etc/passwd", "C:\\x"])
def test_what_is_no_absolute_path_is_refused(tree: Path, value: object) -> None:
    assert Under(tree / "data").check(value)


@pytest.mark.parametrize("name", ["fifo", "socket", "deep", ""])
def test_only_regular_files_are_opened_and_nothing_waits(tree: Path, name: str) -> None:
    with pytest.raises((ValueError, OSError)):
        Under(tree / "data").open(f"{tree}/data/{name}")


def test_descriptors_of_the_process_lead_nowhere(tree: Path) -> None:
    with (tree / "outside" / "secret.txt").open() as file:
        assert Under("/").check(f"/proc/self/fd/{file.fileno()}") is None  # which is that file, below /
        assert Under(tree / "data").check(f"/proc/self/fd/{file.fileno()}")


def test_a_path_that_is_not_there_yet_passes(tree: Path) -> None:
    assert Under(tree / "data").check(f"{tree}/data/new/file") is None


def test_several_roots_and_a_root_by_a_link(tree: Path) -> None:
    files = Under(tree / "data2", tree / "outside" / "back")
    for name in ("data2/c.txt", "data/a.txt"):
        with files.open(tree / name) as file:
            assert file.read().decode() == name
    assert files.check(f"{tree}/outside/secret.txt")


@pytest.mark.parametrize("roots", [(), ("data",), ("/data", "x")])
def test_roots_are_absolute(roots: tuple[str, ...]) -> None:
    with pytest.raises(TypeError, match="absolute"):
        Under(*roots)


WORDS = """
    . .. data data2 outside deep er in file folder chain absolute loop proc root back a.txt b.txt secret.txt self fd cwd
    environ \u2025 %2e%2e ..\\
    """
PARTS = st.sampled_from(["", "x" * 300, *WORDS.split()])


@given(st.lists(PARTS, max_size=12))
def test_whatever_is_opened_is_below_the_root(tree: Path, parts: list[str]) -> None:
    path = "/".join([str(tree / "data"), *parts])
    try:
        with Under(tree / "data").open(path) as file:
            assert file.read().startswith(b"data/")
            assert os.path.realpath(f"/proc/self/fd/{file.fileno()}").startswith(f"{tree}/data/")
    except (ValueError, OSError):
        pass


def test_a_link_that_is_put_in_place_between_check_and_use_is_not_followed(tree: Path) -> None:
    """A thread swaps a folder for a link to the outside, as fast as it can."""
    swapped, aside = tree / "data" / "swapped", tree / "data" / "aside"
    swapped.mkdir()
    (swapped / "secret.txt").write_text("data/fine")
    done = threading.Event()

    def swap() -> None:
        while not done.is_set():
            swapped.rename(aside)
            swapped.symlink_to("../outside")
            swapped.unlink()
            aside.rename(swapped)

    thread = threading.Thread(target=swap)
    thread.start()
    files, end, opened, refused = Under(tree / "data"), time.monotonic() + 0.7, 0, 0
    try:
        while time.monotonic() < end:
            try:
                with files.open(swapped / "secret.txt") as file:
                    assert file.read() == b"data/fine"
                    opened += 1
            except (ValueError, OSError):
                refused += 1
    finally:
        done.set()
        thread.join()
    assert opened + refused > 0
