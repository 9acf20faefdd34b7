"""A real Prometheus that scrapes a service of the tests: the program on PATH, else its image, if that is here."""

import json
import shutil
import socket
import subprocess
import sys
import time
import urllib.parse
from pathlib import Path
from typing import Any, Self

import httpx
import yaml

from tests.observability.conftest import ROOT, RULES

IMAGE = "prom/prometheus:v2.53.3"
NAMESPACE = "agents"
LABELS = {"namespace": NAMESPACE, "pod": "agent-api-0"}
START_SECONDS = 30.0


def program(folder: Path) -> list[str]:
    """The command that runs it with `folder` in its file system; empty where there is none."""
    if found := shutil.which("prometheus"):
        return [found]
    if sys.platform != "linux" or not shutil.which("docker"):
        return []
    if subprocess.run(["docker", "image", "inspect", IMAGE], capture_output=True, check=False).returncode:
        return []
    run = ["docker", "run", "--rm", "--network", "host", "--user", "0", "--name", folder.name]
    return [*run, "--volume", f"{folder}:{folder}", "--entrypoint", "prometheus", IMAGE]


class Prometheus:
    """Use in `with`; keeps its files in `folder`, whose name is its own. Scrapes every second."""

    def __init__(self, command: list[str], folder: Path, target: str) -> None:
        config = yaml.load((ROOT / "k8s" / "prometheus.yml").read_text(), yaml.CSafeLoader)
        config["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
        config["scrape_configs"] = [
            {"job_name": "agent-api", "static_configs": [{"targets": [target], "labels": LABELS}]}
        ]
        (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
        (folder / RULES.name).write_text(RULES.read_text())
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        self._folder = folder
        self._command = [
            *command,
            f"--config.file={folder}/prometheus.yml",
            f"--storage.tsdb.path={folder}/data",
            f"--web.listen-address=127.0.0.1:{port}",
            "--enable-feature=exemplar-storage",
        ]

    def __enter__(self) -> Self:
        self._log = (self._folder / "log").open("wb")
        self._process = subprocess.Popen(self._command, stdout=self._log, stderr=subprocess.STDOUT)
        self.client = httpx.Client(base_url=self.url, timeout=30, trust_env=False)
        end = time.monotonic() + START_SECONDS
        while not self._ready():
            assert self._process.poll() is None, (self._folder / "log").read_text()
            assert time.monotonic() < end, (self._folder / "log").read_text()
            time.sleep(0.1)
        return self

    def _ready(self) -> bool:
        try:
            return self.client.get("/-/ready").status_code == 200
        except httpx.TransportError:
            return False

    def __exit__(self, *_: object) -> None:
        self.client.close()
        self._process.terminate()
        self._process.wait(30)
        self._log.close()

    def wait_for(self, query: str) -> None:
        """Until the query has a series. The first scrape comes five seconds after the start."""
        end = time.monotonic() + START_SECONDS
        while not self.ask(query):
            assert time.monotonic() < end, query
            time.sleep(0.2)

    def ask(self, query: str) -> list[dict[str, Any]]:
        """The series of an instant query, each with its labels and its value."""
        return self._data("/api/v1/query", query=query)["result"]  # type: ignore[no-any-return]

    def exemplars(self, selector: str) -> list[dict[str, Any]]:
        now = time.time()
        found = self._data("/api/v1/query_exemplars", query=selector, start=now - 300, end=now + 1)
        return [exemplar for series in found for exemplar in series["exemplars"]]

    def _data(self, path: str, **parameters: Any) -> Any:
        answer = self.client.get(f"{path}?{urllib.parse.urlencode(parameters)}")
        body = json.loads(answer.text)
        assert body["status"] == "success", f"{parameters}: {answer.text}"
        return body["data"]
