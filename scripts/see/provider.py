"""A server of models with OpenAI's chat completions. The model `flaky` fails with 503 while the file BROKEN is there.

Standard library only: it runs in a pod of the service's own image.
"""

import json
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

BROKEN = Path("/tmp/broken")
WORDS = ["It ", "is ", "what ", "you ", "see."]
USAGE = {"prompt_tokens": 400, "completion_tokens": 60, "total_tokens": 460}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._whole(200, {"object": "list", "data": []})

    def do_POST(self) -> None:
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        time.sleep(0.05)
        if request["model"] == "flaky" and BROKEN.exists():
            self._whole(503, {"error": {"type": "server_error", "message": "The server is on fire"}})
        elif request.get("stream"):
            self._stream()
        else:
            message = {"role": "assistant", "content": "".join(WORDS)}
            self._whole(200, {"choices": [{"index": 0, "message": message, "finish_reason": "stop"}], "usage": USAGE})

    def _whole(self, status: int, body: dict[str, Any]) -> None:
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _stream(self) -> None:
        self.close_connection = True
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        for word in WORDS:
            self._event({"choices": [{"index": 0, "delta": {"content": word}, "finish_reason": None}]})
            time.sleep(0.02)
        self._event({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}], "usage": USAGE})
        self.wfile.write(b"data: [DONE]\n\n")

    def _event(self, data: dict[str, Any]) -> None:
        self.wfile.write(b"data: " + json.dumps(data).encode() + b"\n\n")

    def log_message(self, *_: object) -> None:
        pass


if __name__ == "__main__":
    ThreadingHTTPServer(("0.0.0.0", 8000), Handler).serve_forever()
