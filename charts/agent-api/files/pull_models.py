"""Pulls the models named as arguments into the Ollama server beside this container, unless they are there.

Runs in an init container of the pod, with nothing but the standard library. What goes wrong is written as
one sentence at the end of the log, where `kubectl logs` and `kubectl describe pod` show it.
"""

import contextlib
import json
import os
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

SERVER = os.environ["OLLAMA_API_BASE"]


class OllamaError(Exception):
    """What the server said, or why it said nothing."""


def call(path: str, body: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The server's answer, one object a line. Raises OllamaError."""
    request = urllib.request.Request(
        SERVER + path, data=json.dumps(body).encode(), headers={"Content-Type": "application/json"}
    )
    try:
        with urllib.request.urlopen(request, timeout=600) as answer:
            for line in answer:
                event = json.loads(line)
                if "error" in event:
                    raise OllamaError(event["error"])
                yield event
    except urllib.error.HTTPError as error:
        text = error.read().decode(errors="replace")
        with contextlib.suppress(ValueError, KeyError, TypeError):
            text = json.loads(text)["error"]
        raise OllamaError(f"{text} (HTTP {error.code})") from None
    except (OSError, ValueError) as error:
        raise OllamaError(f"the server did not answer: {error}") from None


def is_there(model: str) -> bool:
    try:
        return any(call("/api/show", {"model": model}))
    except OllamaError as error:
        if "404" in str(error):
            return False
        raise


def pull(model: str) -> None:
    """Raises OllamaError."""
    status, told = "", 0.0
    for event in call("/api/pull", {"model": model}):
        now = time.monotonic()
        if event["status"] == status and now - told < 5:
            continue
        status, told = event["status"], now
        line = f"model {model}: {status}"
        if event.get("total"):
            done, total = event.get("completed", 0), event["total"]
            line += f" {100 * done // total}% of {total / 1e6:.0f} MB"
        print(line, flush=True)


def pull_with_retries(model: str) -> None:
    """A pull goes on where the last one stopped, so trying again is cheap. Raises OllamaError."""
    for pause in (1, 2, 3, 4):
        try:
            return pull(model)
        except OllamaError as error:
            if "file does not exist" in str(error):
                raise
            print(f"model {model}: {error}; trying again", flush=True)
            time.sleep(pause)
    return pull(model)


def main(models: list[str]) -> str | None:
    """None, or the sentence that says what is wrong."""
    for model in models:
        started = time.monotonic()
        try:
            if is_there(model):
                print(f"model {model}: already there", flush=True)
            else:
                pull_with_retries(model)
        except OllamaError as error:
            return (
                f"model {model} cannot be pulled: {error}. "
                "Check its name in the values ollama.model or models, and that the pod reaches the model registry."
            )
        if os.environ.get("PRELOAD") == "true":
            try:
                for _ in call("/api/generate", {"model": model, "stream": False}):
                    pass
            except OllamaError as error:
                return (
                    f"model {model} cannot be loaded: {error}. "
                    "If the ollama container was OOMKilled, raise ollama.resources.limits.memory or take a "
                    "smaller model."
                )
        print(f"model {model}: ready after {time.monotonic() - started:.1f} s", flush=True)
    return None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
