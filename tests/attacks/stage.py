"""What an attack is measured by: the memory of the process, and how long another caller waits meanwhile."""

import selectors
import socket
import statistics
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event, Thread

from tests.api.raw import Answer, read_from
from tests.service import Service

PAUSE_SECONDS = 0.02
CALLS = 5  # of the other caller, at least


def resident_megabytes(service: Service) -> float:
    status = Path(f"/proc/{service.process.pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) / 1024


@dataclass
class Measured:
    """Megabytes, and milliseconds of another caller's chat."""

    before: float
    peak: float = 0
    after: float = 0
    latencies: list[float] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    @property
    def median(self) -> float:
        return statistics.median(self.latencies)

    @property
    def worst(self) -> float:
        return max(self.latencies)


@contextmanager
def measured(service: Service, settle_seconds: float = 10) -> Iterator[Measured]:
    """Samples memory and another caller while the block goes on; then waits until memory is back, at most 10 s."""
    found = Measured(resident_megabytes(service))
    done = Event()

    def call() -> None:
        with service.new_client() as client:
            while not done.wait(PAUSE_SECONDS):
                started = time.perf_counter()
                response = client.post("/chat", json={"message": "hi"})
                found.latencies.append((time.perf_counter() - started) * 1000)
                if response.status_code != 200:
                    found.failures.append(response.text)

    def sample() -> None:
        while not done.wait(PAUSE_SECONDS):
            found.peak = max(found.peak, resident_megabytes(service))

    threads = [Thread(target=call), Thread(target=sample)]
    for thread in threads:
        thread.start()
    try:
        yield found
        while len(found.latencies) < CALLS:
            time.sleep(PAUSE_SECONDS)
    finally:
        done.set()
        for thread in threads:
            thread.join()
    end = time.monotonic() + settle_seconds
    found.after = resident_megabytes(service)
    while found.after > found.before + 10 and time.monotonic() < end:
        time.sleep(0.1)
        found.after = resident_megabytes(service)


@contextmanager
def many(port: int, count: int) -> Iterator[list[socket.socket]]:
    """Open connections."""
    with ExitStack() as opened:
        yield [opened.enter_context(socket.create_connection(("127.0.0.1", port), timeout=10)) for _ in range(count)]


def flood(connections: list[socket.socket], data: bytes, seconds: float, total: int) -> int:
    """Sends `data` again and again on each connection as long as it is taken. Returns how many bytes were."""
    sent = dict.fromkeys(connections, 0)
    end = time.monotonic() + seconds
    with selectors.DefaultSelector() as selector:
        for one in connections:
            one.setblocking(False)
            selector.register(one, selectors.EVENT_WRITE, one)
        while selector.get_map() and time.monotonic() < end:
            for key, _ in selector.select(0.1):
                connection: socket.socket = key.data
                at = sent[connection] % len(data)
                try:
                    sent[connection] += connection.send(data[at : at + 262_144])
                except BlockingIOError:
                    continue
                except OSError:
                    selector.unregister(connection)
                    continue
                if sent[connection] >= total:
                    selector.unregister(connection)
    for one in connections:
        one.settimeout(10)
    return sum(sent.values())


def read_to_end(connection: socket.socket, seconds: float = 10) -> bytes:
    """What arrives until the connection is closed or reset. Fails if it stays open."""
    connection.settimeout(seconds)
    pieces = []
    try:
        while piece := connection.recv(65_536):
            pieces.append(piece)
    except ConnectionError:
        pass
    return b"".join(pieces)


def answers(port: int, requests: bytes, count: int) -> list[Answer]:
    """The first answers to what is sent at once. Fails if there are fewer within 10 s."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(requests)
        with connection.makefile("rb") as file:
            return [read_from(file) for _ in range(count)]
