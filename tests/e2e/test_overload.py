"""A pod with far too little CPU: its streams get slow, hardly one is cut, and the kubelet does not restart it."""

import time
from collections.abc import Callable

from tests.e2e.cluster import Release
from tests.e2e.conftest import Load

OPEN_STREAMS = 200
SECONDS = 60
MAX_CUT = 0.12  # of the streams: clients wait 90 s, and a restart would cut all 200
CPU = "50m"


def test_a_starved_pod_goes_on_and_is_not_restarted(
    release: Callable[[str], Release], slow_model: str, load: Callable[..., Load]
) -> None:
    one = release("starved")
    one.install(
        {
            "image": {"tag": "dev"},
            "models": ["openai/slow"],
            "openai": {"baseUrl": slow_model},
            "unknownPrice": "allow",
            "anonymousConcurrent": "off",  # all come from one address
            "anonymousPerMinute": "off",
            "resources": {"requests": {"cpu": CPU}, "limits": {"cpu": CPU}},
        }
    )
    running = load(f"http://{one.fullname}:8000", 0, OPEN_STREAMS)
    time.sleep(SECONDS)
    result = running.stop()
    print(f"\n{OPEN_STREAMS} streams on {CPU}: {result}")
    [pod] = one.pods()
    statuses = pod["status"]["containerStatuses"]
    assert [status["restartCount"] for status in statuses] == [0]
    assert result["cut"] - result["shed"] <= MAX_CUT * result["streams"], result
    assert result["streams"] > OPEN_STREAMS, "none was finished"
