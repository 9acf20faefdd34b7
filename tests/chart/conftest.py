"""The chart, rendered by a real helm; no cluster is needed."""

import functools
import json
import os
import re
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from app.settings import Settings, load

Manifest = dict[str, Any]

ROOT = Path(__file__).parents[2]
CHART = ROOT / "charts" / "agent-api"
KIND_VALUES = CHART / "values-kind.yaml"


class RenderError(Exception):
    """What helm wrote when it refused the values."""


@dataclass(frozen=True, slots=True)
class Rendered:
    manifests: tuple[Manifest, ...]

    def of(self, kind: str) -> list[Manifest]:
        """The manifests of a kind, those of `helm test` left out."""
        return [one for one in self.manifests if one["kind"] == kind and "helm.sh/hook" not in annotations(one)]

    def one(self, kind: str) -> Manifest:
        found = self.of(kind)
        assert len(found) == 1, f"{len(found)} manifests of kind {kind}"
        return found[0]

    def pod(self) -> Manifest:
        """The specification of the Deployment's pods."""
        spec: Manifest = self.one("Deployment")["spec"]["template"]["spec"]
        return spec

    def app(self) -> Manifest:
        """The service's own container."""
        container: Manifest = self.pod()["containers"][0]
        assert container["name"] == "agent-api"
        return container

    def settings(self) -> dict[str, str]:
        for one in self.of("ConfigMap"):
            if "MODELS" in one["data"]:
                data: dict[str, str] = one["data"]
                return data
        raise AssertionError("no ConfigMap with the settings")

    def read(self) -> Settings:
        """The settings as the service reads them."""
        given: dict[str, Any] = {name.lower(): value for name, value in self.settings().items()}
        return load(None, **given)


def annotations(manifest: Manifest) -> dict[str, str]:
    return manifest["metadata"].get("annotations") or {}


Render = Callable[..., Rendered]
Template = Callable[..., str]


@pytest.fixture(scope="session")
def helm() -> str:
    """The path of a helm binary, which a first run may have to make."""
    found = subprocess.run([ROOT / "scripts" / "helm"], capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stderr
    return found.stdout.strip()


@pytest.fixture(scope="session")
def template(helm: str, tmp_path_factory: pytest.TempPathFactory) -> Template:
    """Renders values given as YAML; raises RenderError with what helm says."""
    folder = tmp_path_factory.mktemp("values")

    @functools.cache
    def run(values: str, release: str = "agent-api", namespace: str = "agents", chart: Path = CHART) -> str:
        path = folder / "values.yaml"
        path.write_text(values)
        command = [helm, "template", release, str(chart), "--namespace", namespace, "--kube-version", "1.34.0"]
        command += ["--values", str(path)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, "GOGC": "off"})
        if done.returncode:
            raise RenderError(done.stderr)
        return done.stdout

    return run


@pytest.fixture(scope="session")
def render(template: Template) -> Render:
    """Renders values given as nested keywords: render(ollama={"enabled": True})."""
    return lambda **values: parsed(template(json.dumps(values)))


def parsed(text: str) -> Rendered:
    """The manifests, each key of which stands once. Raises yaml.YAMLError."""
    documents: Iterator[Any] = yaml.load_all(text, Loader=Strict)
    return Rendered(tuple(one for one in documents if one))


class Strict(yaml.CSafeLoader):
    """Refuses a key that stands twice, as server-side apply does. In Python it took a fifth of the time to render."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key) for key, _ in node.value]
        assert len(keys) == len(set(keys)), f"a key stands twice among {keys}"
        return super().construct_mapping(node, deep)


# Go reads `1e5` as a number, PyYAML as a text.
Strict.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"^[-+]?[0-9]+[eE][-+]?[0-9]+$"), list("-+0123456789")
)
