"""Checks of keys and tokens: what their providers build into them. Each takes a text as it was found; none raises."""

import base64
import binascii
import hashlib
import re
import zlib
from collections.abc import Callable

import msgspec

BASE62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
BECH32 = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
PLACEHOLDER = re.compile(
    r"your[_. -]|your(?:api|key|secret|token|pass)|example|placeholder|change_?me|redacted|dummy|insert|replace|_here"
    r"|\*\*\*|\.\.\.|(.)\1{5}|abcdefg|123456789",
    re.IGNORECASE,
)
CHANGES = re.compile(r"[a-z](?=[A-Z0-9])|[A-Z](?=[0-9])|[0-9](?=[A-Za-z])")
NO_PASSWORDS = frozenset(
    ["pass", "passwd", "password", "passphrase", "pw", "pwd", "secret", "token", "key", "user", "username", "none", "null", "true", "false", "string", "str"]
)
NAME = re.compile(r"[A-Za-z]+\d{0,2}(?:(?:[._/:]|->)[A-Za-z_]*\d{0,2})+|v?[\d.:,%/-]+[a-z]{0,2}")
PLAIN = re.compile(
    r"[a-z]*\d{0,2}(?:[-._/:~|=+]+[a-z]*\d{0,2})*|[A-Z]*\d{0,2}(?:[-._/:~|=+]+[A-Z]*\d{0,2})*"
    r"|[A-Z][a-z]+(?:[-._/:]+[A-Z][a-z]+)*"
)
NAMED = re.compile(r"pass(?:word|wd)|secret|token|(?:api|access)_?key|credential", re.IGNORECASE)
SENTENCE = frozenset(
    ["a", "an", "and", "are", "at", "be", "by", "can", "cannot", "do", "does", "for", "from", "has", "have", "in", "is", "it", "its", "least", "less", "more", "must", "no", "not", "of", "on", "only", "or", "password", "passwords", "passphrase", "please", "required", "reset", "secret", "should", "than", "the", "this", "to", "too", "was", "will", "with", "your"]
)


def base62(number: int, width: int) -> str:
    digits = ""
    while number:
        number, digit = divmod(number, 62)
        digits = BASE62[digit] + digits
    return digits.rjust(width, "0")


def varied(text: str) -> bool:
    """Not a placeholder such as `sk_live_xxxxxxxx` or `YOUR_API_KEY`: has many different characters."""
    return len(set(text)) >= min(10, len(text) // 2 + 1) and PLACEHOLDER.search(text) is None


def random(text: str) -> bool:
    """Varied, and neither words nor names of variables: letters, capitals and digits alternate often."""
    return varied(text) and len(CHANGES.findall(text)) >= len(text) / 5


def own_word(text: str) -> bool:
    """Not what examples say in the place of a password: `postgresql://user:password@host`."""
    return text.lower().strip("<>[]{}") not in NO_PASSWORDS and PLACEHOLDER.search(text) is None


def assigned(text: str) -> bool:
    """What a name such as `DD_API_KEY` was given: no words in small letters or capitals, and not another name."""
    if not own_word(text) or "://" in text or PLAIN.fullmatch(text):
        return False
    return NAMED.search(text) is None or random(text)


def credential(text: str) -> bool:
    """What stands behind `password =`: letters with digits or marks, and no name of a variable."""
    if not assigned(text) or not any(map(str.isalpha, text)):
        return False
    return random(text) or not (text.isalpha() or NAME.fullmatch(text))


def passphrase(text: str) -> bool:
    """A quoted password: like one of a word, or several words that make no sentence about passwords."""
    words = text.split(" ")
    if len(words) == 1:
        return credential(text)
    return len(words) > 2 and all(map(str.isalnum, words)) and SENTENCE.isdisjoint(text.lower().split(" "))


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
        number = number * 58 + BASE58.find(character)
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
    "varied": varied,
    "random": random,
    "own-word": own_word,
    "assigned": assigned,
    "credential": credential,
    "passphrase": passphrase,
    "crc-of-body": crc_of_body,
    "crc-of-all": crc_of_all,
    "crc-hex": crc_hex,
    "base58check": base58check,
    "bech32": bech32,
    "jwt": jwt,
    "basic-credentials": basic_credentials,
    "snowflake": snowflake,
}
