"""The scripts around the cluster say what is missing before they do anything."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.chart.conftest import ROOT


def run_with(tools: set[str], folder: Path) -> subprocess.CompletedProcess[str]:
    """scripts/kind-up on a machine that has the named programs, which do nothing, and bash."""
    for name in ("bash", "dirname", "env"):
        found = shutil.which(name)
        assert found
        (folder / name).symlink_to(found)
    for name in tools:
        (folder / name).write_text("#!/usr/bin/env bash\nexit 1\n")
        (folder / name).chmod(0o755)
    environment = {**os.environ, "PATH": str(folder)}
    command = [str(ROOT / "scripts" / "kind-up")]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def test_kind_up_names_all_the_programs_that_are_missing(tmp_path: Path) -> None:
    done = run_with({"docker", "kubectl"}, tmp_path)
    assert done.returncode == 1
    assert "not found on PATH: kind helm" in done.stderr


def test_kind_up_says_that_docker_does_not_run(tmp_path: Path) -> None:
    done = run_with({"docker", "kubectl", "kind", "helm"}, tmp_path)
    assert done.returncode == 1
    assert "the Docker engine does not answer" in done.stderr


def port_forward(folder: Path, kubectl: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """scripts/kind-port-forward with a kubectl that does what the bash lines say."""
    (folder / "kubectl").write_text(f"#!/usr/bin/env bash\n{kubectl}\n")
    (folder / "kubectl").chmod(0o755)
    environment = {**os.environ, "PATH": f"{folder}:{os.environ['PATH']}", **variables}
    command = ["bash", str(ROOT / "scripts" / "kind-port-forward")]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=60)


def test_port_forward_without_a_cluster_says_so_and_ends(tmp_path: Path) -> None:
    done = port_forward(tmp_path, "exit 1")
    assert done.returncode == 1
    assert done.stdout == ""
    assert "the cluster agent-api does not answer: make kind-up makes it" in done.stderr


def test_port_forward_names_a_service_that_is_not_installed(tmp_path: Path) -> None:
    done = port_forward(tmp_path, '[[ "$*" != *"get service jaeger"* ]]')
    assert done.returncode == 1
    assert "the service jaeger is not in the namespace platform yet: make kind-up installs it" in done.stderr


@pytest.mark.parametrize("port", ["abc", "0", "70000"])
def test_port_forward_refuses_what_is_no_port(tmp_path: Path, port: str) -> None:
    done = port_forward(tmp_path, "exit 0", API_PORT=port)
    assert done.returncode == 1
    assert f"API_PORT: {port} is not a port" in done.stderr


def test_port_forward_ends_with_a_line_when_the_cluster_goes_away(tmp_path: Path) -> None:
    listen = (
        f'[[ "$*" != *port-forward* ]] || exec {sys.executable} -c '
        "\"import socket, sys, time; s = socket.create_server(('127.0.0.1', int(sys.argv[1].split(':')[0]))); "
        'time.sleep(3); s.close(); open(sys.argv[2], \'w\').close()" "${@: -1}" "$GONE"'
    )
    gone = tmp_path / "gone"
    ports = {"API_PORT": "18311", "JAEGER_PORT": "18312", "PROMETHEUS_PORT": "18313"}
    done = port_forward(tmp_path, f'[ ! -e "$GONE" ] || exit 1\n{listen}', GONE=str(gone), **ports)
    assert done.returncode == 1
    assert "Forwarding" in done.stdout
    assert "the cluster agent-api no longer answers: make kind-up starts it again" in done.stderr
