"""What operators do to a release with users on it: none of it fails a request, cuts a stream or takes pods away."""

import contextlib
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.e2e.cluster import CHART, CONTEXT, ROOT, SCRATCH, Release, get, kubectl, run
from tests.e2e.conftest import Load

PLAIN_PER_SECOND = 10
OPEN_STREAMS = 20
HELMS = ("3", "4")
WHERE = ("--kube-context", CONTEXT, "--namespace", SCRATCH)

OLDER_CHART = ROOT / "tests" / "e2e" / "older-chart"


def values(slow_model: str, database: int) -> dict[str, Any]:
    return {
        "image": {"tag": "dev"},
        "replicaCount": 2,
        "models": ["openai/slow"],
        "openai": {"baseUrl": slow_model},
        "redis": {"url": f"redis://valkey.platform:6379/{database}"},
        "extraEnv": [{"name": "UNKNOWN_PRICE", "value": "allow"}],
    }


@pytest.mark.parametrize("major", HELMS)
def test_a_release_is_changed_in_every_way_under_load(
    release: Callable[[str], Release], slow_model: str, load: Callable[..., Load], tmp_path: Path, major: str
) -> None:
    one = release(f"changing-{major}")
    helm = helm_of(major)
    plain = {**values(slow_model, 5), "replicaCount": 3}
    upgrade(one, CHART, plain, "--install", helm=helm)
    before_bump = pod_names(one)
    running = load(f"http://{one.fullname}:8000", PLAIN_PER_SECOND, OPEN_STREAMS)
    scaled = {**plain, "autoscaling": {"enabled": True, "minReplicas": 2, "maxReplicas": 3}}
    with fewest_pods(one) as fewest:
        upgrade(one, CHART, scaled, helm=helm)  # the autoscaler takes over
        forced = ["--force-conflicts"] if major == "4" else []  # the autoscaler has set the number meanwhile
        upgrade(one, CHART, plain, *forced, helm=helm)  # and is switched off again
        upgrade(one, bumped(tmp_path), plain, helm=helm)
        assert pod_names(one) == before_bump, "a new version of the chart replaced pods that read nothing new"
        upgrade(one, CHART, {**plain, "maxIterations": 7}, helm=helm)
        run(helm, "rollback", one.name, "--wait", "--timeout", "3m", *WHERE)
        upgrade(one, CHART, {"replicaCount": 2}, "--reset-then-reuse-values", helm=helm)
    result = running.stop()
    print(f"\nchanges under load, helm {major}: {result}; fewest ready pods {fewest[0]}")
    assert result["failed"] == 0, result
    assert result["cut"] == 0, result
    assert fewest[0] >= 2


def test_the_values_of_an_older_chart_are_taken_by_this_one(
    release: Callable[[str], Release], slow_model: str, load: Callable[..., Load], tmp_path: Path
) -> None:
    """`--reuse-values` hands this chart's templates the older one's values: what is new there is missing."""
    one = release("reusing")
    upgrade(one, older_chart(tmp_path), values(slow_model, 6), "--install")
    running = load(f"http://{one.fullname}:8000", PLAIN_PER_SECOND, OPEN_STREAMS)
    upgrade(one, CHART, {}, "--reuse-values")
    result = running.stop()
    print(f"\nupgrade with --reuse-values under load: {result}")
    assert result["failed"] == 0, result
    assert result["cut"] == 0, result


@pytest.mark.parametrize("major", HELMS)
def test_nothing_differs_after_an_install(release: Callable[[str], Release], major: str) -> None:
    """A GitOps controller that compares what is rendered with what the cluster has is in sync."""
    one = release(f"synced-{major}")
    path = helm_of(major)
    common = [*WHERE, "--values", "-"]
    given = yaml.safe_dump(
        {
            "image": {"tag": "dev"},
            "autoscaling": {"enabled": True, "minReplicas": 2},
            "auth": {"allowAnonymous": True},
            "ingress": {"enabled": True, "className": "nginx"},
            "extraEnv": [{"name": "MAX_ITERATIONS", "value": "5"}, {"name": "HOST", "value": "0.0.0.0"}],
            "commonLabels": {"team": "search"},
            "podLabels": {"team": "chat"},
        }
    )
    for _ in range(2):  # an upgrade as well
        run(path, "upgrade", "--install", one.name, str(CHART), *common, "--wait", "--timeout", "3m", text=given)
    rendered = run(path, "get", "manifest", one.name, *WHERE)
    diff = kubectl("diff", "--filename", "-", text=rendered)  # exits with 1 where something differs
    assert diff == ""
    server_side = ["--server-side", "--field-manager", "helm", "--force-conflicts"]
    kubectl("apply", *server_side, "--filename", "-", text=rendered)


def helm_of(major: str) -> str:
    """The path of a helm."""
    return run(str(ROOT / "scripts" / "helm"), major).strip()


def upgrade(one: Release, chart: Path, given: dict[str, Any], *flags: str, helm: str = "helm") -> None:
    arguments = ["upgrade", one.name, str(chart), "--values", "-", "--wait", "--timeout", "3m", *flags]
    run(helm, *arguments, *WHERE, text=yaml.safe_dump(given))


def bumped(folder: Path) -> Path:
    """This chart under its next version."""
    chart = folder / "bumped"
    shutil.copytree(CHART, chart)
    described = yaml.safe_load((chart / "Chart.yaml").read_text())
    described["version"] = "999.0.0"
    (chart / "Chart.yaml").write_text(yaml.safe_dump(described))
    return chart


def older_chart(folder: Path) -> Path:
    """The chart as it was before the values that this one has."""
    with contextlib.suppress(FileExistsError):
        shutil.unpack_archive(OLDER_CHART.with_suffix(".tgz"), folder, "gztar")
    return folder / "agent-api"


def pod_names(one: Release) -> set[str]:
    return {pod["metadata"]["name"] for pod in one.pods() if "deletionTimestamp" not in pod["metadata"]}


@contextlib.contextmanager
def fewest_pods(one: Release) -> Iterator[list[int]]:
    """The smallest number of ready replicas that was seen during the block."""
    fewest = [2]
    over = threading.Event()

    def look() -> None:
        while not over.wait(0.5):
            status = get("deployment", one.fullname)["status"]
            fewest[0] = min(fewest[0], status.get("readyReplicas", 0))

    watcher = threading.Thread(target=look)
    watcher.start()
    yield fewest
    over.set()
    watcher.join()
