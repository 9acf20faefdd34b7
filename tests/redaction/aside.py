"""Where a service leaves something beside its answers: the store, a webhook."""

from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import redis

from tests.redis_server import RedisServer


class Hooks(list[bytes]):
    """Bodies of webhooks that a server was sent."""

    def __enter__(self) -> "Hooks":
        hooks = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                hooks.append(self.rfile.read(int(self.headers["content-length"])))
                self.send_response(204)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/in"
        Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


def stored(store: RedisServer) -> str:
    """All that the store holds, keys and values."""
    client = redis.Redis(port=store.port, decode_responses=False)
    read: dict[Any, Any] = {
        b"string": client.get,
        b"hash": client.hgetall,
        b"list": lambda key: client.lrange(key, 0, -1),
        b"set": client.smembers,
        b"zset": lambda key: client.zrange(key, 0, -1, withscores=True),
        b"stream": client.xrange,
    }
    with client:
        return "\n".join(f"{key!r} {read[client.type(key)](key)!r}" for key in client.scan_iter("*"))
