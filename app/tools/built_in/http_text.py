"""The text of an answer: bounded, unpacked with the same bound, and of a type that is text."""

import re
import zlib

import aiohttp

_TEXT = re.compile(
    r"text/[\w.+-]+|application/(?:[\w.-]+\+)?(?:json|xml|yaml)|application/(?:javascript|x-ndjson|x-yaml|toml|rss|atom)"
).fullmatch
_CHARSET = re.compile(
    r"utf-?8|utf-?16(?:-?[lb]e)?|us-ascii|ascii|latin-?1|iso-?8859-?\d{1,2}|windows-?125\d|cp125\d|koi8-[ru]|shift[_-]jis"
    r"|euc-(?:jp|kr)|gb2312|gbk|gb18030|big5"
).fullmatch
"""Of what servers send. Other codecs of Python's unpack or compute."""

_PACKED = {"gzip": 31, "x-gzip": 31, "deflate": 15}
"""zlib's window for each."""


async def bounded_body(answer: aiohttp.ClientResponse, most: int) -> tuple[bytes, bool]:
    """The first `most` bytes, unpacked, and whether there are more. Raises ValueError for what cannot be unpacked."""
    packing = answer.headers.get("Content-Encoding", "identity").strip().lower()
    if packing not in ("", "identity", *_PACKED):
        raise ValueError("is packed in a way that was not asked for")
    unpacker = zlib.decompressobj(_PACKED[packing]) if packing in _PACKED else None
    body = bytearray()
    async for piece in answer.content.iter_chunked(65_536):
        body += piece if unpacker is None else _unpacked(unpacker, piece, most + 1 - len(body))
        if len(body) > most:
            return bytes(body[:most]), True
    return bytes(body), False


def _unpacked(unpacker: "zlib._Decompress", piece: bytes, most: int) -> bytes:
    try:
        return unpacker.decompress(piece, most)
    except zlib.error:
        raise ValueError("cannot be unpacked") from None


def text_of(body: bytes, content_type: str) -> str:
    """Raises ValueError for what is no text."""
    kind, _, parameters = content_type.lower().partition(";")
    if not _TEXT(kind.strip()):
        raise ValueError(f"is no text, but {kind.strip()[:64] or 'of no type'}")
    if b"\0" in body and "utf-16" not in parameters:
        raise ValueError("is no text, though the server says so")
    found = re.search(r"charset\s*=\s*[\"']?([\w.-]+)", parameters)
    charset = found[1] if found and _CHARSET(found[1]) else "utf-8"
    try:
        return body.decode(charset, "replace")
    except LookupError:
        return body.decode(errors="replace")
