"""docker-compose.yaml has the images, the rules and the dashboard of the rest of the repository."""

import re
import shutil
import subprocess

import pytest
import yaml

from tests.observability.conftest import ROOT, RULES
from tests.observability.dashboard import DASHBOARD

COMPOSE = yaml.load((ROOT / "docker-compose.yaml").read_text(), yaml.CSafeLoader)
SERVICES = COMPOSE["services"]
CONFIGS = {name: yaml.load(one["content"], yaml.CSafeLoader) for name, one in COMPOSE["configs"].items()}


def test_its_images_are_those_of_the_local_cluster() -> None:
    cluster = set(re.findall(r"image: (\S+)", "".join(path.read_text() for path in (ROOT / "k8s").glob("*.yaml"))))
    own = {one["image"] for name, one in SERVICES.items() if name not in ("agent-api", "grafana")}
    assert own <= cluster


def test_what_it_mounts_is_there() -> None:
    mounted = [one.partition(":")[0] for service in SERVICES.values() for one in service.get("volumes", ())]
    assert f"./{RULES.relative_to(ROOT)}" in mounted
    assert all((ROOT / path).exists() for path in mounted)


def test_prometheus_loads_the_rules_for_the_job_that_they_look_at() -> None:
    [scraped] = CONFIGS["prometheus"]["scrape_configs"]
    assert f'job="{scraped["job_name"]}"' in RULES.read_text()
    assert CONFIGS["prometheus"]["rule_files"] == [RULES.name]
    assert set(scraped["static_configs"][0]["labels"]) == {"namespace", "pod"}


def test_the_dashboard_finds_its_data_sources() -> None:
    wanted = {one["query"] for one in DASHBOARD["templating"]["list"] if one["type"] == "datasource"}
    made = {one["type"]: one for one in CONFIGS["datasources"]["datasources"]}
    assert wanted <= set(made)
    [exemplars] = made["prometheus"]["jsonData"]["exemplarTraceIdDestinations"]
    assert exemplars["datasourceUid"] == made["jaeger"]["uid"]


def test_nothing_of_it_is_reached_from_other_machines() -> None:
    ports = [port for service in SERVICES.values() for port in service.get("ports", ())]
    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_compose_accepts_it() -> None:
    docker = shutil.which("docker")
    if docker is None or subprocess.run([docker, "compose", "version"], capture_output=True, check=False).returncode:
        pytest.skip("docker compose is not on PATH")
    command = [docker, "compose", "--profile", "grafana", "config", "--quiet"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stderr
