"""The Ollama sidecar dies under load: answers come from the next model, and from Ollama again when it is back."""

import contextlib
import json
import re
import threading
import time
from collections.abc import Callable
from typing import Any

from tests.e2e.cluster import CommandError, Release, eventually, fetch, forwarded, kubectl

MODEL = "qwen2.5:0.5b"
OLLAMA = f"ollama/{MODEL}"
ASKERS, PAUSE_SECONDS = 3, 0.05


class Askers:
    """Ask one after the other, each in a thread, until they are stopped."""

    def __init__(self, url: str) -> None:
        self.answers: list[dict[str, Any]] = []
        self.failures: list[str] = []
        self._url = url
        self._stopped = threading.Event()
        self._threads = [threading.Thread(target=self._ask) for _ in range(ASKERS)]
        for thread in self._threads:
            thread.start()

    def _ask(self) -> None:
        while not self._stopped.is_set():
            try:
                self.answers.append(json.loads(fetch(f"{self._url}/chat", {"message": "Say one word."})))
            except OSError as error:
                self.failures.append(str(error))
            time.sleep(PAUSE_SECONDS)

    def since(self, count: int, model: str) -> bool:
        """Whether an answer after the first so many came from that model."""
        return any(answer["model"] == model for answer in self.answers[count:])

    def stop(self) -> None:
        self._stopped.set()
        for thread in self._threads:
            thread.join()


def counted(metrics: str) -> int:
    found = re.search(rf'^agent_fallbacks_total{{from="{OLLAMA}",to="demo"}} (\S+)', metrics, re.MULTILINE)
    return round(float(found[1])) if found else 0


def test_a_dead_ollama_is_answered_for_and_comes_back_by_itself(release: Callable[[str], Release]) -> None:
    one = release("spare")
    one.install(
        {
            "image": {"tag": "dev"},
            "models": [OLLAMA, "demo"],
            "maxTokens": 8,
            "anonymousPerMinute": "off",  # all ask from one address
            "ollama": {
                "enabled": True,
                "model": MODEL,
                "resources": {"requests": {"cpu": "100m", "memory": "512Mi", "ephemeral-storage": "512Mi"}},
            },
        },
        timeout="5m",
    )
    (pod,) = one.ready_pods()
    with forwarded(pod, 8000, one.namespace, "pod") as url, forwarded(pod, 9090, one.namespace, "pod") as metrics:
        asking = Askers(url)
        try:
            eventually("Ollama answers", 120, lambda: asking.since(0, OLLAMA))
            before = len(asking.answers)
            killed = time.monotonic()

            def left_alone() -> dict[str, Any] | None:
                """What `/health` says of Ollama, if its breaker is open. Retries bridge one restart; after several the
                kubelet takes its time."""
                with contextlib.suppress(CommandError):  # it is dead already
                    kubectl("exec", pod, "--container", "ollama", "--", "sh", "-c", "kill 1", namespace=one.namespace)
                seen: dict[str, Any] = json.loads(fetch(f"{url}/health"))["checks"]["models"][OLLAMA]
                return seen if seen["breaker"] == "open" else None

            seen = eventually("/health says that Ollama is left alone", 90, left_alone)
            assert asking.since(before, "demo")
            away = len(asking.answers)
            eventually("Ollama answers again", 180, lambda: asking.since(away, OLLAMA))
            back = time.monotonic() - killed
        finally:
            asking.stop()
        fallbacks = counted(fetch(f"{metrics}/metrics"))
    instead = [answer for answer in asking.answers if answer["fallback_from"] == OLLAMA]
    print(f"\nOllama killed under load: {len(asking.answers)} answers, {len(instead)} by demo, back after {back:.0f} s")
    print(f"/health meanwhile: {seen}")
    assert asking.failures == []
    assert fallbacks == len(instead) > 0
    assert all(answer["model"] == "demo" and answer["attempts"] >= 1 for answer in instead)
    switched = [line for line in one.logs("agent-api").splitlines() if '"event":"model.switched"' in line]
    assert len(switched) == fallbacks
