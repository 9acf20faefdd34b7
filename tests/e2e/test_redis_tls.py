"""A Redis that shows a certificate of an authority of one's own, and wants a password: both by reference."""

import contextlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import yaml

from tests.certificates import Authority, careless
from tests.e2e.cluster import SCRATCH, Release, eventually, fetch, forwarded, kubectl
from tests.e2e.conftest import SECURITY

NAME = "tls-valkey"
PASSWORD = "of-the-test"


def server() -> list[dict[str, Any]]:
    files = "/certificates"
    command = ["valkey-server", "--port", "0", "--tls-port", "6380", "--tls-auth-clients", "no", "--save", ""]
    command += ["--tls-cert-file", f"{files}/server.crt", "--tls-key-file", f"{files}/server.key"]
    command += ["--tls-ca-cert-file", f"{files}/server.crt", "--requirepass", PASSWORD]
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": NAME, "labels": {"app": NAME}},
        "spec": {
            "terminationGracePeriodSeconds": 1,
            "automountServiceAccountToken": False,
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": 999,
                "fsGroup": 999,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [
                {
                    "name": NAME,
                    "image": "valkey/valkey:8.1",
                    "command": command,
                    "workingDir": "/tmp",
                    "readinessProbe": {"tcpSocket": {"port": 6380}, "periodSeconds": 1},
                    "securityContext": SECURITY,
                    "volumeMounts": [
                        {"name": "certificates", "mountPath": files},
                        {"name": "tmp", "mountPath": "/tmp"},
                    ],
                }
            ],
            "volumes": [
                {"name": "certificates", "secret": {"secretName": NAME}},
                {"name": "tmp", "emptyDir": {}},
            ],
        },
    }
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": NAME},
        "spec": {"selector": {"app": NAME}, "ports": [{"port": 6380}]},
    }
    return [pod, service]


def checks(url: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(fetch(f"{url}/health"))["checks"]
    return found


@contextlib.contextmanager
def serving(authority: Path, certificate: Path, key: Path) -> Iterator[None]:
    """A Valkey with the certificate; its address and its authority as secrets of these names."""
    files = [f"--from-file=server.crt={certificate}", f"--from-file=server.key={key}"]
    kubectl("create", "secret", "generic", NAME, *files)
    kubectl("create", "secret", "generic", "authority", f"--from-file=ca.crt={authority}")
    address = f"rediss://:{PASSWORD}@{NAME}:6380/0"
    kubectl("create", "secret", "generic", "address", f"--from-literal=REDIS_URL={address}")
    kubectl("apply", "-f", "-", text=yaml.safe_dump_all(server()))
    kubectl("wait", f"pod/{NAME}", "--for=condition=Ready", "--timeout=60s")
    try:
        yield
    finally:
        kubectl("delete", f"pod/{NAME}", f"service/{NAME}", f"secret/{NAME}", "secret/authority", "secret/address")


VALUES: dict[str, Any] = {
    "image": {"tag": "dev"},
    "preStopSeconds": 0,
    "redis": {"existingSecret": "address", "port": 6380},
}
NAMED: list[dict[str, Any]] = [
    {"redis": {**VALUES["redis"], "tls": {"existingSecret": "authority"}}},
    {"caBundle": {"secret": "authority"}},
]


def test_an_authority_of_ones_own_is_trusted_when_it_is_named(
    release: Callable[[str], Release], tmp_path: Path
) -> None:
    authority = Authority(tmp_path, "ours")
    one = release("secured")
    with serving(authority.certificate, *authority.issue(NAME)):
        one.install(VALUES)
        refused = "certificate: unable to get local issuer certificate"
        eventually("the certificate is refused", 40, lambda: refused in one.logs("agent-api"))
        for named in NAMED:
            one.install(VALUES | named)
            with forwarded(one.fullname, 8000, SCRATCH) as url:
                eventually("the store is reached", 40, lambda: checks(url)["redis"] == "up")
                answer = json.loads(fetch(f"{url}/chat", {"message": "Hello", "session_id": "over-tls"}))
                assert answer["degraded"] == []
                assert "Hello" in fetch(f"{url}/sessions/over-tls")


def test_a_careless_certificate_is_named_in_health_and_taken_by_a_value(
    release: Callable[[str], Release], tmp_path: Path
) -> None:
    """What the image's own Python refuses."""
    one = release("careless")
    with serving(*careless(tmp_path, NAME)):
        for strict in (True, False):
            one.install(VALUES | NAMED[1] | {"tlsStrict": strict})
            with forwarded(one.fullname, 8000, SCRATCH) as url:
                expected = "down" if strict else "up"
                eventually(f"the store is {expected}", 40, lambda: checks(url)["redis"] == expected)  # noqa: B023
                reason = checks(url).get("redis_reason", "")
                assert reason.endswith("; TLS_STRICT=false takes it") if strict else reason == ""
