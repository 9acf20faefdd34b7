"""A client that speaks bytes: for what no client library would send, and for leaving in the midst of it."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import BinaryIO

HEAD = b"POST %b HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes


@contextmanager
def connected(port: int) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        yield connection


def post(path: str, body: bytes) -> bytes:
    """A request with its length."""
    return HEAD % path.encode() + b"Content-Length: %d\r\n\r\n" % len(body) + body


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def read_answer(connection: socket.socket) -> Answer:
    """One answer with a Content-Length. Raises if the connection ends before."""
    with connection.makefile("rb") as file:
        return read_from(file)


def read_from(file: BinaryIO) -> Answer:
    """The next answer with a Content-Length."""
    first, *lines = list(iter(lambda: file.readline().rstrip(b"\r\n"), b""))
    headers = {
        name.lower(): value.strip() for name, _, value in (line.decode("latin-1").partition(":") for line in lines)
    }
    body = file.read(int(headers.get("content-length", 0)))
    return Answer(int(first.split(b" ")[1]), headers, body)


def ask(port: int, request: bytes) -> Answer:
    with connected(port) as connection:
        connection.sendall(request)
        return read_answer(connection)
