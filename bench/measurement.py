"""What the load generator is told and what it tells."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Spec:
    """What to send, how, and whose CPU time to read meanwhile.

    `body` may hold `%(turn)08d` and `%(session)08d`. A session has `turns` turns, so that its history is
    bounded. The window lasts `seconds` after `warmup` seconds; longer, up to four times, until it has as
    many answers as connections, and up to `patience` seconds until it has one.
    """

    port: int
    path: str
    body: str
    stream: bool
    connections: int
    seconds: float
    warmup: float
    server_pid: int
    headers: dict[str, str] = field(default_factory=dict)
    tokens: int = 64
    turns: int = 4
    stagger: float = 0.0
    patience: float = 60.0

    def request(self) -> bytes:
        """Head and body, to be completed by `%` with a turn and a session."""
        length = len(self.body.encode() % {b"turn": 0, b"session": 0})
        headers = {"host": f"127.0.0.1:{self.port}", "accept": "*/*", "content-type": "application/json"}
        headers |= {"content-length": str(length)} | self.headers
        lines = [f"POST {self.path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
        return ("\r\n".join(lines) + "\r\n\r\n" + self.body).encode()


@dataclass(slots=True)
class Result:
    """What came back within the window; latencies in milliseconds."""

    seconds: float = 0.0
    requests: int = 0
    errors: int = 0
    error_samples: list[str] = field(default_factory=list)
    server_cpu_seconds: float = 0.0
    server_rss_bytes: int = 0
    load_cpu_share: float = 0.0
    p50_ms: float = 0.0
    p95_ms: float = 0.0
    p99_ms: float = 0.0
    first_byte_p50_ms: float = 0.0
    first_token_p50_ms: float = 0.0
