"""Ed25519 signatures (RFC 8032) on JSON documents. Imported only where something is signed or verified."""

import os
from base64 import b64decode, b64encode
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from app.audit.canonical import canonical
from app.errors import ConfigurationError
from app.reloading import read_bounded

_MAX_PEM_BYTES = 65_536
_KEY_ID_CHARS = 16


class Signer:
    """Signs with one key."""

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key
        raw = key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        self.public_key = b64encode(raw).decode()
        self.key = key_id(raw)

    def sign(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        """The fields with the key's id, the public key and the signature of all of these as canonical JSON."""
        signed = {**fields, "key": self.key, "public_key": self.public_key}
        return {**signed, "signature": b64encode(self._key.sign(canonical(signed))).decode()}


def is_signed(document: Mapping[str, Any]) -> bool:
    """Whether the signature is that of the public key within the document, on everything else in it."""
    signed = {name: value for name, value in document.items() if name != "signature"}
    try:
        raw = b64decode(document["public_key"], validate=True)
        signature = b64decode(document["signature"], validate=True)
        Ed25519PublicKey.from_public_bytes(raw).verify(signature, canonical(signed))
    except (KeyError, ValueError, TypeError, InvalidSignature):
        return False
    return bool(document["key"] == key_id(raw))


def key_id(raw: bytes) -> str:
    """The beginning of the SHA-256 of the public key's 32 bytes."""
    return sha256(raw).hexdigest()[:_KEY_ID_CHARS]


def signer_of(path: Path | None) -> Signer:
    """With the key of AUDIT_KEY_FILE; without one, with a key of this process. Raises ConfigurationError."""
    if path is None:
        return Signer(Ed25519PrivateKey.generate())
    try:
        key = load_pem_private_key(read_bounded(path, _MAX_PEM_BYTES), password=None)
    except OSError as error:
        raise ConfigurationError(f"AUDIT_KEY_FILE: {path}: {error.strerror}") from None
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise ConfigurationError(
            f"AUDIT_KEY_FILE: {path}: is not a private key in PEM without a password; make one: "
            "python -m app audit keygen FILE"
        ) from None
    if not isinstance(key, Ed25519PrivateKey):
        raise ConfigurationError(
            f"AUDIT_KEY_FILE: {path}: is not an Ed25519 key; make one: python -m app audit keygen FILE"
        )
    return Signer(key)


def read_public_key(path: Path) -> str:
    """A public key in PEM, as heads have it. Raises OSError and ValueError."""
    key = load_pem_public_key(read_bounded(path, _MAX_PEM_BYTES))
    if not isinstance(key, Ed25519PublicKey):
        raise ValueError("is not an Ed25519 public key")  # noqa: TRY004 - of what is in a file
    return b64encode(key.public_bytes(Encoding.Raw, PublicFormat.Raw)).decode()


def make_key_files(path: Path) -> Path:
    """Write a new private key, readable by its owner alone, and the public key beside it, as `.pub`; returns the
    latter's path. Raises OSError, FileExistsError if one of them is there."""
    key = Ed25519PrivateKey.generate()
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    public = path.with_name(f"{path.name}.pub")
    _write_new(public, key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo), 0o644)
    try:
        _write_new(path, private, 0o600)
    except OSError:
        public.unlink()
        raise
    return public


def _write_new(path: Path, data: bytes, mode: int) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
        file.write(data)
