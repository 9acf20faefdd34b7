"""`python -m app keys new`, as a person runs it."""

import json
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from app.__main__ import command
from app.access.api_keys import KeyFile, fingerprint, new_secret


def test_the_key_comes_first_and_then_its_line(tmp_path: Path) -> None:
    made = subprocess.run(
        [sys.executable, "-m", "app", "keys", "new", "--user", "ada"], capture_output=True, text=True, check=True
    )
    secret, line = made.stdout.splitlines()
    assert json.loads(line) == {
        "sha256": fingerprint(secret),
        "name": "ada",
        "user": "ada",
        "scopes": ["chat", "tools:*"],
    }
    assert secret not in line
    assert secret not in made.stderr
    file = tmp_path / "keys.jsonl"
    file.write_text(made.stdout.splitlines()[1])
    assert KeyFile(file).find(secret).user == "ada"


def test_everything_about_a_key_can_be_said(capsys: pytest.CaptureFixture[str]) -> None:
    options = "--user ada --name ci --team search --tier gold --scopes chat,admin --expires-days 30"
    assert command(["keys", "new", *options.split()]) == 0
    line = json.loads(capsys.readouterr().out.splitlines()[1])
    expires = datetime.fromisoformat(line.pop("expires"))
    assert 29 < (expires - datetime.now(UTC)).total_seconds() / 86400 <= 30
    del line["sha256"]
    assert line == {"name": "ci", "user": "ada", "team": "search", "tier": "gold", "scopes": ["chat", "admin"]}


@pytest.mark.parametrize(
    ("options", "option"),
    [
        (["--user", "a:b"], "--user"),
        (["--user", ""], "--user"),
        (["--user", "ada\n"], "--user"),
        (["--user", "x" * 65], "--user"),
        (["--user", "ada", "--team", "ü"], "--team"),
        (["--user", "ada", "--tier", "gold tier"], "--tier"),
        (["--user", "ada", "--name", ""], "--name"),
        (["--user", "ada", "--name", "\udcff"], "--name"),
        (["--user", "ada", "--name", "x" * 101], "--name"),
        (["--user", "ada", "--scopes", "everything"], "--scopes"),
        (["--user", "ada", "--scopes", "chat;admin"], "--scopes"),
        (["--user", "ada", "--scopes", "tools:"], "--scopes"),
        *(
            (["--user", "ada", "--expires-days", days], "--expires-days")
            for days in ("0", "-1", "nan", "inf", "x", "1e9")
        ),
    ],
    ids=str,
)
def test_what_the_file_would_not_take_is_not_made_and_the_option_is_named(
    options: list[str], option: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        command(["keys", "new", *options])
    assert caught.value.code == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert f"error: argument {option}: must be " in shown.err


def test_a_key_may_have_no_scope(capsys: pytest.CaptureFixture[str]) -> None:
    assert command(["keys", "new", "--user", "ada", "--scopes", ""]) == 0
    assert json.loads(capsys.readouterr().out.splitlines()[1])["scopes"] == []


def test_a_key_given_as_a_name_by_mistake_is_not_repeated(capsys: pytest.CaptureFixture[str]) -> None:
    secret = new_secret() + "!"
    with pytest.raises(SystemExit):
        command(["keys", "new", "--user", secret])
    assert secret not in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments", ["keys", "keys old", "key", "keys new", "keys new --user ada --expires-days 0", "serve"]
)
def test_an_unknown_command_or_option_explains_itself(arguments: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        command(arguments.split())
    assert caught.value.code == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "usage: python -m app" in shown.err
