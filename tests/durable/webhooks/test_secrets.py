"""Secrets that webhooks are signed with."""

import base64
from datetime import UTC, datetime
from pathlib import Path
from time import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from standardwebhooks import Webhook

from app.durable.webhooks.secrets import Secrets, _checked
from app.errors import ConfigurationError
from tests.durable.stage import CALLER
from tests.durable.webhooks.stage import OTHER_SECRET, SECRET, secrets
from tests.logged import capture_logs

OPS = replace(CALLER, user="bob", team="ops")


def test_names_say_who_may_have_messages_signed(tmp_path: Path) -> None:
    names = dict.fromkeys(("main", "user__ada__own", "user__bob__own", "team__ops__shop", "team__ada__x"), SECRET)
    made = Secrets(secrets(tmp_path / "s", **names))
    assert made.names_for(CALLER) == ["main", "user.ada.own"]
    assert made.names_for(OPS) == ["main", "team.ops.shop", "user.bob.own"]
    assert made.names_for(replace(CALLER, authenticated=False)) == ["main"]


@given(st.binary(min_size=24, max_size=64), st.booleans())
def test_every_key_of_a_fitting_length_signs_as_the_library_checks(key: bytes, padded: bool) -> None:
    text = base64.b64encode(key).decode()
    shown = f"whsec_{text if padded else text.rstrip('=')}"
    assert _checked("main", shown.encode()) == key
    timestamp = int(time())
    signature = Webhook(_checked("main", shown.encode())).sign("id", datetime.fromtimestamp(timestamp, UTC), "{}")
    headers = {"webhook-id": "id", "webhook-timestamp": str(timestamp), "webhook-signature": signature}
    Webhook(shown).verify("{}", headers)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("", "must have 1 to 5 secrets"),
        ("\n".join([SECRET] * 6), "must have 1 to 5 secrets"),
        ("hunter2", "openssl rand"),
        (SECRET.removeprefix("whsec_"), "openssl rand"),
        ("whsec_c2hvcnQ=", "openssl rand"),
        ("whsec_!!!!" + "A" * 40, "openssl rand"),
        ("whsec_" + "A" * 90, "openssl rand"),
        (f"{SECRET}\nhunter2", "openssl rand"),
        ("x" * 5_000, "has more than 4096 bytes"),
    ],
)
def test_what_is_no_secret_stops_the_start_and_is_not_repeated(tmp_path: Path, content: str, problem: str) -> None:
    with pytest.raises(ConfigurationError, match=problem) as refused:
        Secrets(secrets(tmp_path / "s", main=content))
    said = str(refused.value)
    assert said.startswith(f"WEBHOOK_SECRETS_DIR: {tmp_path / 's'}: ")
    assert not any(len(word) > 3 and word in said for word in content.split())


@pytest.mark.parametrize("name", ["a b", "team.ops", "group.ops.x", "user.ada.own.too", "x" * 65, "ä"])
def test_a_file_that_no_request_could_name_stops_the_start(tmp_path: Path, name: str) -> None:
    secrets(tmp_path / "s")
    (tmp_path / "s" / name).write_text(SECRET)
    with pytest.raises(ConfigurationError, match="not named as secrets are"):
        Secrets(tmp_path / "s")


@pytest.mark.parametrize("there", [True, False])
def test_a_path_that_is_no_folder_stops_the_start(tmp_path: Path, there: bool) -> None:
    path = tmp_path / "s"
    if there:
        path.write_text(SECRET)
    with pytest.raises(ConfigurationError, match=r"WEBHOOK_SECRETS_DIR: .*(is not a folder|No such file)"):
        Secrets(path)


def test_a_mounted_secret_is_read_as_kubernetes_writes_it_and_changes_it(tmp_path: Path) -> None:
    """Files are links to those of a folder that `..data` leads to, which is exchanged as a whole."""
    mount = tmp_path / "mount"
    for version, content in (("..2026_01", {"main": SECRET}), ("..2026_02", {"main": OTHER_SECRET, "next": SECRET})):
        secrets(mount)
        secrets(mount / version, **content)
    (mount / "main").unlink()
    (mount / "..data").symlink_to("..2026_01")
    (mount / "main").symlink_to("..data/main")
    made = Secrets(mount)
    signed = made.sign("main", "id", 1, b"{}")
    (mount / "..new").symlink_to("..2026_02")
    (mount / "..new").rename(mount / "..data")
    (mount / "next").symlink_to("..data/next")
    made.refresh()
    assert made.sign("next", "id", 1, b"{}") == signed
    assert made.sign("main", "id", 1, b"{}") not in (signed, None)


def test_what_cannot_be_meant_changes_nothing(tmp_path: Path) -> None:
    folder = secrets(tmp_path / "s")
    with capture_logs() as lines:
        made = Secrets(folder)
        (folder / "main").write_text("hunter2")
        made.refresh()
        made.refresh()
        (folder / "main").unlink()
        made.refresh()
    assert made.names_for(CALLER) == ["main"]
    assert [line["event"] for line in lines] == [
        "webhook_secrets.loaded",
        "webhook_secrets.refused",
        "webhook_secrets.refused",
    ]
    assert "hunter2" not in str(lines)


def test_an_empty_folder_is_said_to_be_one(tmp_path: Path) -> None:
    (tmp_path / "s").mkdir()
    with capture_logs() as lines:
        made = Secrets(tmp_path / "s")
    assert made.names_for(CALLER) == []
    assert [line["event"] for line in lines] == ["webhook_secrets.none"]
