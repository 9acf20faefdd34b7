"""The parts of planted secrets that are computed: checksums, structures, encodings. Each takes an argument, the text
before it and a source of chance."""

import base64
import hashlib
import json
import string
import uuid as uuids
import zlib
from random import Random

from app.redaction.checksums import luhn
from app.redaction.national_ids import NATIONAL_IDS
from app.redaction.token_checksums import BASE58, BECH32, base62, bech32, polymod

CLASSES = {
    "b62": string.ascii_letters + string.digits,
    "hex": "0123456789abcdef",
    "HEX": "0123456789ABCDEF",
    "b64": string.ascii_letters + string.digits + "+/",
    "url": string.ascii_letters + string.digits + "_-",
    "b32": string.ascii_uppercase + "234567",
    "b32l": string.ascii_lowercase + "234567",
    "upper": string.ascii_uppercase + string.digits,
    "lower": string.ascii_lowercase + string.digits,
    "letters": string.ascii_letters,
    "num": string.digits,
    "b58": BASE58,
    "pass": string.ascii_letters + string.digits + "!%^_+-",
}


def crc62(_: str, before: str, __: Random) -> str:
    return base62(zlib.crc32(before.rpartition("_")[2].encode()), 6)


def crc62all(_: str, before: str, __: Random) -> str:
    return base62(zlib.crc32(before.removesuffix("_").encode()), 6)


def crchex(_: str, before: str, __: Random) -> str:
    return zlib.crc32(before.removesuffix("_").encode()).to_bytes(4, "little").hex()


def uuid(_: str, __: str, chance: Random) -> str:
    return str(uuids.UUID(int=chance.getrandbits(128), version=4))


def bytes64(count: str, _: str, chance: Random) -> str:
    return base64.b64encode(chance.randbytes(int(count))).decode()


def jwt(_: str, __: str, chance: Random) -> str:
    claims = {"sub": str(chance.getrandbits(40)), "iat": 1_790_000_000 + chance.getrandbits(20), "name": "Ada L."}
    header = {"alg": "HS256", "typ": "JWT"}
    parts = (json.dumps(header).encode(), json.dumps(claims).encode(), chance.randbytes(32))
    return ".".join(map(_url, parts))


def basic(_: str, __: str, chance: Random) -> str:
    return base64.b64encode(f"robot:{chance.randbytes(9).hex()}".encode()).decode()


def snowflake(_: str, __: str, chance: Random) -> str:
    return _url(str(chance.randrange(10**17, 10**18)).encode())


def age(_: str, __: str, chance: Random) -> str:
    data = "".join(chance.choices(BECH32, k=52))
    prefix = "AGE-SECRET-KEY-"
    return _bech32(prefix, data)


def wif(_: str, __: str, chance: Random) -> str:
    return _base58check(b"\x80" + chance.randbytes(32) + b"\x01")


def xprv(_: str, __: str, chance: Random) -> str:
    return _base58check(b"\x04\x88\xad\xe4" + chance.randbytes(41) + b"\x00" + chance.randbytes(32))


def pem(label: str, _: str, chance: Random) -> str:
    body = base64.b64encode(chance.randbytes(400)).decode()
    lines = "\n".join(body[at : at + 64] for at in range(0, len(body), 64))
    return f"-----BEGIN {label}-----\n{lines}\n-----END {label}-----"


def national(argument: str, __: str, chance: Random) -> str:
    """`NAME/MASK`: a number that passes the check. `#` a digit, `@` a capital, `D`, `M`, `Y` a day, month, year."""
    name, _, mask = argument.partition("/")
    valid = NATIONAL_IDS[name]
    tries = ("".join(_masked(sign, chance) for sign in mask) for _ in range(20_000))
    return next(filter(valid, tries))


def _masked(sign: str, chance: Random) -> str:
    match sign:
        case "#":
            return str(chance.randrange(10))
        case "@":
            return chance.choice(string.ascii_uppercase)
        case "D":
            return f"{chance.randint(1, 28):02}"
        case "M":
            return f"{chance.randint(1, 12):02}"
        case "Y":
            return f"{chance.randint(40, 99)}"
        case "C":
            return "19"
        case _:
            return sign


def card(_: str, __: str, chance: Random) -> str:
    while True:
        digits = "4" + "".join(chance.choices(string.digits, k=15))
        if luhn(digits):
            return " ".join(digits[at : at + 4] for at in range(0, 16, 4))


def iban(_: str, __: str, chance: Random) -> str:
    account = "".join(chance.choices(string.digits, k=18))
    return f"DE{98 - int(account + '131400') % 97:02}{account}"


def _url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _base58check(payload: bytes) -> str:
    number = int.from_bytes(payload + hashlib.sha256(hashlib.sha256(payload).digest()).digest()[:4], "big")
    digits = ""
    while number:
        number, digit = divmod(number, 58)
        digits = BASE58[digit] + digits
    return digits


def _bech32(prefix: str, data: str) -> str:
    """With the six characters that make it valid (BIP 173)."""
    low = prefix.lower()
    values = [ord(c) >> 5 for c in low] + [0] + [ord(c) & 31 for c in low] + [BECH32.find(c) for c in data]
    checksum = polymod([*values, 0, 0, 0, 0, 0, 0]) ^ 1
    found = f"{low}1{data}" + "".join(BECH32[checksum >> 5 * (5 - at) & 31] for at in range(6))
    assert bech32(found)
    return found.upper()
