"""Users: some let the service choose the model, some ask for `openai/flaky`, and every third reads a stream.

Standard library only: it runs in a pod of the service's own image, until it is deleted.
"""

import itertools
import json
import sys
import threading
import time
import urllib.error
import urllib.request

USERS = 4
PAUSE_SECONDS = 0.25


def ask(url: str, number: int) -> None:
    body: dict[str, object] = {"message": f"What is {number} * 7?"}
    if number % 2:
        body["model"] = "openai/flaky"
    path = "/chat/stream" if number % 3 == 0 else "/chat"
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(url + path, json.dumps(body).encode(), headers)
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            answer.read()
    except urllib.error.HTTPError as error:
        error.read()
    except OSError as error:
        print(error, flush=True)


def use(url: str, first: int) -> None:
    for number in itertools.count(first * 1_000_000):
        ask(url, number)
        time.sleep(PAUSE_SECONDS)


if __name__ == "__main__":
    for user in range(USERS):
        threading.Thread(target=use, args=(sys.argv[1], user)).start()
