"""What `helm test` runs in the cluster, through the Service: `api` or `chat`. Exits 1 with a sentence."""

import json
import os
import sys
import urllib.error
import urllib.request

BASE = os.environ["AGENT_API_URL"]
ANYONE = os.environ["AUTH"] == "none"


def fetch(path: str, body: dict[str, str] | None = None, wanted: int = 200) -> str:
    """The body of an answer with the wanted status; anything else ends the test."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(BASE + path, data=data, headers={"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=120) as answer:
            status, text = answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        status, text = error.code, error.read().decode(errors="replace")
    except OSError as error:
        sys.exit(f"{path}: {error}")
    check(status == wanted, f"{path}: HTTP {status}: {text[:500]}")
    print(f"{path}: {text[:300].strip()}", flush=True)
    return str(text)


def check(holds: bool, sentence: str) -> None:
    if not holds:
        sys.exit(sentence)


if sys.argv[1] == "api":
    check(json.loads(fetch("/live"))["status"] == "alive", "/live does not say alive")
    check(json.loads(fetch("/ready"))["status"] == "ready", "/ready does not say ready")
    check(json.loads(fetch("/health"))["checks"]["api"] is not None, "/health has no check of the api")
elif not ANYONE:
    fetch("/chat", {"message": "What is 6 * 7?"}, wanted=401)  # the test has no credentials, so it must not get in
else:
    answer = json.loads(fetch("/chat", {"message": "What is 6 * 7?"}))
    check(bool(answer["answer"]), "/chat answered nothing")
    check(answer["usage"]["output_tokens"] > 0, "/chat counted no tokens")
    lines = fetch("/chat/stream", {"message": "What is 6 * 7?"}).strip().splitlines()
    check(lines[-1] == "data: [DONE]", f"/chat/stream was cut: its last line is {lines[-1]!r}")
print("ok", flush=True)
