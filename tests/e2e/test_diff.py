"""What the cluster has is what was rendered, object by object: Argo CD and `kubectl diff` find nothing to do."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

from scripts.chart_schemas import GATEWAY, KEDA, OPERATOR, module_folder
from tests.chart.values import CASES
from tests.e2e.cases import values
from tests.e2e.cluster import CHART, SCRATCH, Release, helm, kubectl


@pytest.fixture(scope="module")
def custom_resources() -> Iterator[None]:
    """The CRDs of the Gateway API, the Prometheus operator and KEDA, as their Go modules have them."""
    paths = [
        module_folder(module, version) / path for module, version, paths in (GATEWAY, OPERATOR, KEDA) for path in paths
    ]
    texts = "\n---\n".join(Path(path).read_text() for path in paths)
    kubectl("apply", "--server-side", "--force-conflicts", "--filename", "-", text=texts, namespace="default")
    names = [one["metadata"]["name"] for one in yaml.safe_load_all(texts) if one]
    for name in names:
        kubectl("wait", f"crd/{name}", "--for=condition=Established", "--timeout=60s", namespace="default")
    yield
    for name in names:
        kubectl("delete", "crd", name, namespace="default")


@pytest.mark.usefixtures("custom_resources")
@pytest.mark.parametrize("case", CASES)
def test_nothing_differs(release: Callable[[str], Release], case: str) -> None:
    """Twice, since an upgrade patches what an install made; whether the pods can run is not the question here."""
    one = release(f"same-{case}")
    given = yaml.safe_dump(values(case))
    for _ in range(2):
        helm("upgrade", "--install", one.name, str(CHART), "--values", "-", text=given)
        rendered = helm("get", "manifest", one.name)
        assert kubectl("diff", "--filename", "-", text=rendered) == ""
        assert kubectl("diff", "--server-side", "--force-conflicts", "--filename", "-", text=rendered) == ""


@pytest.mark.usefixtures("custom_resources")
@pytest.mark.parametrize("case", CASES)
def test_what_is_rendered_is_all_there_is(release: Callable[[str], Release], case: str) -> None:
    """Fields of custom resources that the API server would add are rendered, so that a plain comparison finds none."""
    one = release(f"whole-{case}")
    helm("upgrade", "--install", one.name, str(CHART), "--values", "-", text=yaml.safe_dump(values(case)))
    rendered = [doc for doc in yaml.safe_load_all(helm("get", "manifest", one.name)) if doc]
    for manifest in rendered:
        if manifest["kind"] not in ("HTTPRoute", "ServiceMonitor", "PrometheusRule", "ScaledObject"):
            continue
        kind, name = manifest["kind"].lower(), manifest["metadata"]["name"]
        live = yaml.safe_load(kubectl("get", kind, name, "--output", "yaml", namespace=SCRATCH))
        assert live["spec"] == manifest["spec"], f"{kind} {name}"
