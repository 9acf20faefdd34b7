"""API keys: what a file says about them, and how it changes under a running process."""

import asyncio
import json
import os
import string
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from app.errors import ConfigurationError, Unauthorized
from app.limits import api_keys as module
from app.limits.api_keys import PREFIX, KeyFile, fingerprint, new_secret, parse
from app.limits.principal import Principal

KEY, OTHER = new_secret(), new_secret()


def line(secret: str = KEY, **changes: Any) -> str:
    entry = {"sha256": fingerprint(secret), "name": "a test", "user": "ada", "scopes": ["chat"], **changes}
    return json.dumps({name: value for name, value in entry.items() if value is not None}) + "\n"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "keys.jsonl"
    file.write_text("# keys of the tests\n\n" + line())
    return file


def refusal(keys: KeyFile, secret: str) -> str:
    with pytest.raises(Unauthorized) as caught:
        keys.find(secret)
    return caught.value.problem


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
    ids=range(24),
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
    with pytest.raises(ConfigurationError, match="has more than"):
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


def test_the_last_key_can_be_revoked(path: Path) -> None:
    keys = KeyFile(path)
    path.write_text("")
    keys.refresh()
    assert refusal(keys, KEY) == "invalid"


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


def test_a_file_that_is_gone_keeps_the_keys(path: Path) -> None:
    keys = KeyFile(path)
    path.unlink()
    with capture_logs() as logs:
        keys.refresh()
    assert keys.find(KEY)
    assert [entry["event"] for entry in logs] == ["api_keys.refused"]


async def test_watching_sees_a_change(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CHECK_SECONDS", 0.01)
    keys = KeyFile(path)
    watching = asyncio.create_task(keys.watch())
    await asyncio.to_thread(path.write_text, line(OTHER))
    async with asyncio.timeout(5):
        while bytes.fromhex(fingerprint(OTHER)) not in keys._keys:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    watching.cancel()
    assert keys.find(OTHER)
