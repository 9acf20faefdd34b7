"""API keys: what a file says about them, and how it changes under a running process."""

import asyncio
import json
import os
import string
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from threading import Timer
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app import reloading
from app.access import api_keys as module
from app.access.api_keys import PREFIX, KeyFile, fingerprint, new_secret, parse
from app.access.principal import Principal
from app.errors import ConfigurationError, Unauthorized
from tests.access.keys import KEY, OTHER, line
from tests.logged import capture_logs


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "keys.jsonl"
    file.write_text("# keys of the tests\n\n" + line())
    return file


def refusal(keys: KeyFile, secret: str) -> str:
    with pytest.raises(Unauthorized) as caught:
        keys.find(secret)
    return caught.value.problem


def knows(keys: KeyFile, secret: str) -> bool:
    try:
        keys.find(secret)
    except Unauthorized:
        return False
    return True


def test_a_key_has_256_random_bits_behind_a_prefix() -> None:
    secret = new_secret()
    random = secret.removeprefix(PREFIX)
    assert secret.startswith(PREFIX)
    assert len(random) == 43
    assert set(random) <= set(string.ascii_letters + string.digits + "-_")
    assert len({new_secret() for _ in range(100)}) == 100


def test_a_key_in_the_file_tells_whose_it_is(tmp_path: Path) -> None:
    file = tmp_path / "keys.jsonl"
    file.write_text(line(team="search", tier="gold", scopes=["chat", "tools:clock", "tools:*", "runs", "admin"]))
    assert KeyFile(file).find(KEY) == Principal(
        "ada", "search", "gold", frozenset({"chat", "tools:clock", "tools:*", "runs", "admin"}), authenticated=True
    )


def test_a_key_with_any_one_wrong_character_is_refused(path: Path) -> None:
    keys = KeyFile(path)
    assert keys.find(KEY)
    for place in range(len(KEY)):
        wrong = KEY[:place] + ("x" if KEY[place] != "x" else "y") + KEY[place + 1 :]
        assert refusal(keys, wrong) == "invalid"
    for wrong in ("", PREFIX, KEY[:-1], KEY + "A", KEY.swapcase(), fingerprint(KEY), PREFIX + fingerprint(KEY)):
        assert refusal(keys, wrong) == "invalid"


def test_a_key_is_refused_from_the_moment_it_expires(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "keys.jsonl"
    file.write_text(line(expires="2030-06-01T12:00:00+02:00"))
    keys = KeyFile(file)
    assert keys.find(KEY)
    monkeypatch.setattr(module, "time", SimpleNamespace(time=lambda: 1906538400.0))  # 2030-06-01T10:00:00Z
    assert refusal(keys, KEY) == "expired"


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"{", "line 1: is not JSON"),
        (b"\xff\xfe\x00", "line 1: is not JSON"),
        (b"\n#x\n[]", "line 3: Expected `object`, got `array`"),
        (b"[" * 100_000, "line 1: "),
        (line(sha256="abc").encode(), "line 1: "),
        (line(sha256=fingerprint(KEY).upper()).encode(), "line 1: "),
        (line(sha256=fingerprint(KEY) + "\n").encode(), "line 1: "),
        (line(sha256=None).encode(), "line 1: "),
        (line(user=None).encode(), "line 1: "),
        (line(user="a b").encode(), "line 1: "),
        (line(user="").encode(), "line 1: "),
        (line(user="ada\n").encode(), "line 1: "),
        (line(team="a:b").encode(), "line 1: "),
        (line(scopes=None).encode(), "line 1: "),
        (line(scopes="chat").encode(), "line 1: "),
        (line(scopes=["chats"]).encode(), "line 1: "),
        (line(scopes=["tools:"]).encode(), "line 1: "),
        (line(scopes=["*"]).encode(), "line 1: "),
        (line(expires="2030-01-01").encode(), "line 1: "),
        (line(expires="2030-01-01T00:00:00").encode(), "line 1: "),
        (line(expires=1893456000).encode(), "line 1: "),
        (line(expired="2030-01-01T00:00:00Z").encode(), "line 1: has a field that keys do not have"),
        ((line() + line(user="bob")).encode(), "line 2: repeats"),
        (line().encode() + b"{", "line 2: is not JSON"),
    ],
)
def test_a_broken_file_stops_the_start_with_the_lines_number(tmp_path: Path, content: bytes, problem: str) -> None:
    file = tmp_path / "keys.jsonl"
    file.write_bytes(content)
    with pytest.raises(ConfigurationError) as caught:
        KeyFile(file)
    assert str(caught.value).startswith(f"API_KEYS_FILE: {file}: {problem}")
    assert fingerprint(KEY) not in str(caught.value)


def test_a_key_pasted_into_the_file_by_mistake_is_not_repeated(tmp_path: Path) -> None:
    for mistake in (
        KEY,
        json.dumps(KEY),
        json.dumps({KEY: 1}),
        line(sha256=KEY),
        line(user=KEY + "!"),
        line(scopes=[KEY]),
    ):
        with pytest.raises(ValueError, match="line 1") as caught:
            parse(mistake.encode())
        assert KEY not in str(caught.value)


@pytest.mark.parametrize("name", ["missing", "."])
def test_a_file_that_cannot_be_read_stops_the_start(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigurationError, match=r"^API_KEYS_FILE: "):
        KeyFile(tmp_path / name)


def test_a_file_without_end_stops_the_start() -> None:
    with pytest.raises(ConfigurationError, match="is not a regular file"):
        KeyFile(Path("/dev/zero"))


@given(st.binary(max_size=200))
def test_no_bytes_break_the_reader(content: bytes) -> None:
    with suppress(ValueError):
        assert not parse(content)


def test_keys_come_and_go_with_the_file(path: Path) -> None:
    keys = KeyFile(path)
    path.write_text(line(OTHER, user="bob"))
    keys.refresh()
    assert keys.find(OTHER).user == "bob"
    assert refusal(keys, KEY) == "invalid"


def test_a_change_of_rights_is_seen(path: Path) -> None:
    keys = KeyFile(path)
    path.write_text(line(scopes=["admin"]))
    keys.refresh()
    assert keys.find(KEY).scopes == {"admin"}


@pytest.mark.parametrize("content", ["", "\n\n", "# nobody\n", " \t\r\n#\r\n", "\ufeff"])
def test_a_file_that_becomes_empty_keeps_the_keys_and_says_so_once(path: Path, content: str) -> None:
    keys = KeyFile(path)
    path.write_text(content)
    with capture_logs() as logs:
        keys.refresh()
        keys.refresh()
    assert keys.find(KEY)
    assert [(entry["event"], entry["log_level"], entry["keys"]) for entry in logs] == [("api_keys.refused", "error", 1)]
    assert logs[0]["error"].startswith("has no keys")
    path.write_text(line(OTHER))
    keys.refresh()
    assert refusal(keys, KEY) == "invalid"


def test_a_file_that_is_empty_from_the_start_lets_nobody_in_until_it_has_keys(tmp_path: Path) -> None:
    file = tmp_path / "keys.jsonl"
    file.touch()
    with capture_logs() as logs:
        keys = KeyFile(file)
    assert [(entry["event"], entry["log_level"]) for entry in logs] == [("api_keys.none", "warning")]
    assert refusal(keys, KEY) == "invalid"
    file.write_text(line())
    keys.refresh()
    assert keys.find(KEY)


def test_a_file_with_a_byte_order_mark_and_windows_line_ends_is_read(tmp_path: Path) -> None:
    file = tmp_path / "keys.jsonl"
    file.write_bytes(b"\xef\xbb\xbf" + (line() + line(OTHER)).replace("\n", "\r\n").encode())
    assert KeyFile(file).find(KEY)


@pytest.mark.parametrize("length", range(0, 400, 13))
def test_a_file_that_is_cut_anywhere_never_lets_in_nor_shuts_out_by_half_a_line(path: Path, length: int) -> None:
    path.write_text(line() + line(OTHER))
    keys = KeyFile(path)
    whole = path.read_bytes()
    path.write_bytes(whole[:length])
    keys.refresh()
    assert keys.find(KEY)
    first = len(line().encode())
    assert (length in (first - 1, first)) == (not knows(keys, OTHER))


def test_a_file_that_is_being_written_is_read_when_it_is_whole(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keys = KeyFile(path)
    path.write_text(line(OTHER))  # the first of two lines
    monkeypatch.setattr(reloading, "SETTLE_SECONDS", 0.5)
    writer = Timer(0.2, lambda: path.write_text(line(OTHER) + line()))
    writer.start()
    keys.refresh()
    assert keys.find(KEY)
    assert refusal(keys, OTHER) == "invalid"
    writer.join()
    keys.refresh()
    assert keys.find(KEY)
    assert keys.find(OTHER)


def test_a_file_that_is_exchanged_as_kubernetes_does_it_is_seen(tmp_path: Path) -> None:
    """A Secret's volume has `keys.jsonl -> ..data/keys.jsonl` and `..data -> ..TIME`, which is renamed into place."""
    for number, secret in enumerate((KEY, OTHER)):
        (tmp_path / f"..{number}").mkdir()
        (tmp_path / f"..{number}" / "keys.jsonl").write_text(line(secret))
        os.utime(tmp_path / f"..{number}" / "keys.jsonl", (1, 1))
    (tmp_path / "..data").symlink_to("..0")
    (tmp_path / "keys.jsonl").symlink_to("..data/keys.jsonl")
    keys = KeyFile(tmp_path / "keys.jsonl")
    assert keys.find(KEY)
    (tmp_path / "..new").symlink_to("..1")
    (tmp_path / "..new").rename(tmp_path / "..data")
    keys.refresh()
    assert keys.find(OTHER)
    assert refusal(keys, KEY) == "invalid"


def test_a_broken_new_file_keeps_the_keys_and_is_logged_once(path: Path) -> None:
    keys = KeyFile(path)
    path.write_text(line(OTHER) + "{")
    with capture_logs() as logs:
        keys.refresh()
        keys.refresh()
    assert keys.find(KEY)
    assert refusal(keys, OTHER) == "invalid"
    assert [(entry["event"], entry["log_level"]) for entry in logs] == [("api_keys.refused", "error")]
    path.write_text(line(OTHER))
    keys.refresh()
    assert keys.find(OTHER)


def _gone(path: Path) -> None:
    path.unlink()


def _folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def _dangling(path: Path) -> None:
    path.unlink()
    path.symlink_to("nowhere")


def _loop(path: Path) -> None:
    path.unlink()
    path.symlink_to(path.name)


def _endless(path: Path) -> None:
    path.unlink()
    path.symlink_to("/dev/zero")


@pytest.mark.parametrize("spoil", [_gone, _folder, _dangling, _loop, _endless])
def test_a_file_that_can_no_longer_be_read_keeps_the_keys_and_says_so_once(
    path: Path, spoil: Callable[[Path], None]
) -> None:
    keys = KeyFile(path)
    spoil(path)
    with capture_logs() as logs:
        for _ in range(3):
            keys.refresh()
    assert keys.find(KEY)
    assert [(entry["event"], entry["log_level"]) for entry in logs] == [("api_keys.refused", "error")]
    path.rmdir() if path.is_dir() else path.unlink(missing_ok=True)
    path.write_text(line(OTHER))
    keys.refresh()
    assert keys.find(OTHER)


def test_a_read_that_failed_is_tried_again_though_the_file_did_not_change(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = KeyFile(path)
    path.write_text(line(OTHER))
    with monkeypatch.context() as patched:
        patched.setattr(
            module, "read_bounded", lambda *_: (_ for _ in ()).throw(PermissionError(13, "Permission denied"))
        )
        with capture_logs() as logs:
            keys.refresh()
            keys.refresh()
        assert [entry["error"] for entry in logs] == ["Permission denied"]
    keys.refresh()
    assert keys.find(OTHER)


def test_a_key_is_withdrawn_with_its_line_its_user_or_a_scope_of_it(path: Path) -> None:
    path.write_text(line(scopes=["chat", "admin"]) + line(OTHER))
    keys = KeyFile(path)
    shown = keys.find(KEY).credential
    for change, problem in (
        ({"tier": "gold", "team": "search", "name": "renamed", "scopes": ["chat", "admin", "runs"]}, None),
        ({"scopes": ["chat"]}, "revoked"),
        ({"user": "bob", "scopes": ["chat", "admin"]}, "revoked"),
        ({"expires": "2020-01-01T00:00:00Z", "scopes": ["chat", "admin"]}, "expired"),
        ({"scopes": ["chat", "admin"]}, None),
    ):
        path.write_text(line(**change) + line(OTHER))
        keys.refresh()
        assert shown.withdrawn() == problem
    path.write_text(line(OTHER))
    keys.refresh()
    assert shown.withdrawn() == "revoked"
    assert keys.find(OTHER).credential.withdrawn() is None


def test_a_principal_shows_nothing_of_its_key(path: Path) -> None:
    principal = KeyFile(path).find(KEY)
    assert fingerprint(KEY) not in repr(principal)
    assert KEY not in repr(principal)


async def test_watching_sees_a_change(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reloading, "CHECK_SECONDS", 0.01)
    keys = KeyFile(path)
    watching = asyncio.create_task(keys.watch())
    await asyncio.to_thread(path.write_text, line(OTHER))
    async with asyncio.timeout(5):
        while not knows(keys, OTHER):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    watching.cancel()
    assert keys.find(OTHER)
