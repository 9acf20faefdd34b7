"""Who runs a command, for the audit record."""

import getpass
import os

import pytest

from app.audit import once


@pytest.mark.parametrize(
    "error", [OSError("No username set in the environment"), KeyError("getpwuid(): uid not found")]
)
def test_a_user_without_a_name_has_a_number(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def nameless() -> str:
        raise error

    monkeypatch.setattr(getpass, "getuser", nameless)
    assert once._who() == str(os.getuid())
