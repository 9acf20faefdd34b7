"""Checks of keys and tokens: what their providers build into them. Each takes a text as it was found; none raises."""

import base64
import binascii
import hashlib
import zlib
from collections.abc import Callable

import msgspec

BASE62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
BECH32 = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"


def base62(number: int, width: int) -> str:
    digits = ""
    while number:
        number, digit = divmod(number, 62)
        digits = BASE62[digit] + digits
    return digits.rjust(width, "0")


def crc_of_body(text: str) -> bool:
    """`PREFIX_BODYcccccc`: six characters of base62 of the body's CRC-32 (GitHub, npm).

    https://github.blog/engineering/behind-githubs-new-authentication-token-formats/
    """
    body = text.rpartition("_")[2]
    return base62(zlib.crc32(body[:-6].encode()), 6) == body[-6:]


def crc_of_all(text: str) -> bool:
    """`syt_USER_RANDOM_cccccc`: base62 of the CRC-32 of all that stands before it (Matrix's Synapse)."""
    before, _, checksum = text.rpartition("_")
    return base62(zlib.crc32(before.encode()), 6) == checksum


def crc_hex(text: str) -> bool:
    """`glsa_RANDOM_hhhhhhhh`: CRC-32, little-endian and in hex, of all that stands before it (Grafana)."""
    before, _, checksum = text.rpartition("_")
    return zlib.crc32(before.encode()).to_bytes(4, "little").hex() == checksum


def base58check(text: str) -> bool:
    """The last four bytes are the double SHA-256 of what stands before (Bitcoin's keys)."""
    number = 0
    for character in text:
        number = number * 58 + max(BASE58.find(character), 0)
    decoded = number.to_bytes((number.bit_length() + 7) // 8, "big")
    return hashlib.sha256(hashlib.sha256(decoded[:-4]).digest()).digest()[:4] == decoded[-4:]


def bech32(text: str) -> bool:
    """BIP 173, as of age's identities: https://github.com/FiloSottile/age/blob/main/doc/age.1.ronn"""
    prefix, _, data = text.lower().rpartition("1")
    values = [BECH32.find(character) for character in data]
    expanded = [ord(c) >> 5 for c in prefix] + [0] + [ord(c) & 31 for c in prefix] + values
    return -1 not in values and polymod(expanded) == 1


def polymod(values: list[int]) -> int:
    checksum = 1
    for value in values:
        top = checksum >> 25
        checksum = (checksum & 0x1FFFFFF) << 5 ^ value
        for bit, generator in enumerate((0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)):
            checksum ^= generator if top >> bit & 1 else 0
    return checksum


def jwt(text: str) -> bool:
    """The first part is the JSON object of a JOSE header with an algorithm (RFC 7515)."""
    try:
        header = msgspec.json.decode(_decoded(text.partition(".")[0]))
    except (msgspec.DecodeError, UnicodeDecodeError):
        return False
    return isinstance(header, dict) and "alg" in header


def basic_credentials(text: str) -> bool:
    """Base64 of `name:password` (RFC 7617)."""
    decoded = _decoded(text)
    return b":" in decoded[1:-1] and all(byte > 31 for byte in decoded)


def snowflake(text: str) -> bool:
    """The first part is base64 of a decimal id (Discord's tokens)."""
    return _decoded(text.partition(".")[0]).isdigit()


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(
            text.replace("-", "+").replace("_", "/").rstrip("=") + "=" * (-len(text.rstrip("=")) % 4)
        )
    except (binascii.Error, ValueError):
        return b""


TOKENS: dict[str, Callable[[str], bool]] = {
    "crc-of-body": crc_of_body,
    "crc-of-all": crc_of_all,
    "crc-hex": crc_hex,
    "base58check": base58check,
    "bech32": bech32,
    "jwt": jwt,
    "basic-credentials": basic_credentials,
    "snowflake": snowflake,
}
