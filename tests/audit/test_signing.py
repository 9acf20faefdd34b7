"""Keys of signed heads."""

from pathlib import Path

import pytest

from app.audit.build import Recording
from app.audit.signing import is_signed, make_key_files, read_public_key, signer_of
from app.errors import ConfigurationError
from app.settings import load
from app.state.in_process import InProcessStore
from tests.access.issuer import RSA, private_pem


def test_only_its_owner_may_read_a_private_key(tmp_path: Path) -> None:
    public = make_key_files(tmp_path / "key")
    assert (tmp_path / "key").stat().st_mode & 0o777 == 0o600
    assert read_public_key(public) == signer_of(tmp_path / "key").public_key
    with pytest.raises(FileExistsError):
        make_key_files(tmp_path / "key")


def test_a_private_key_is_never_overwritten(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("mine")
    with pytest.raises(FileExistsError):
        make_key_files(tmp_path / "key")
    assert (tmp_path / "key").read_text() == "mine"
    assert not (tmp_path / "key.pub").exists()


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "No such file"),
        (b"", "is not a private key in PEM"),
        (private_pem(RSA).encode(), "is not an Ed25519 key"),
    ],
)
def test_a_key_that_cannot_sign_stops_the_start(tmp_path: Path, content: bytes | None, says: str) -> None:
    if content is not None:
        (tmp_path / "key").write_bytes(content)
    with pytest.raises(ConfigurationError, match=f"AUDIT_KEY_FILE: .*{says}"):
        Recording(load(None, audit_key_file=tmp_path / "key"), InProcessStore())


def test_what_is_signed_cannot_be_changed() -> None:
    signed = signer_of(None).sign({"sequence": 1})
    assert is_signed(signed)
    for field, value in (("sequence", 2), ("key", "0" * 16), ("signature", "AAAA"), ("public_key", "AAAA")):
        assert not is_signed({**signed, field: value})
    assert not is_signed({**signed, "more": 1})
    assert not is_signed({"sequence": 1})
