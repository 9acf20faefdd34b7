"""No credential and no secret of the service's own comes out anywhere: logs at `debug`, spans, metrics, answers."""

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.access.api_keys import fingerprint, new_secret
from tests.access.issuer import AUDIENCE, ISSUER, SECRET, claims, forged, hmac_token
from tests.access.keys import line
from tests.api.raw import connected
from tests.conftest import Serve
from tests.models.servers import Reply
from tests.redis_server import free_port
from tests.service import Service, run_to_end
from tests.telemetry.collector import Collector
from tests.upstream import MODEL, Upstream, refuses, says_whole

KEY, UNKNOWN, EXPIRED, REVOKED = (new_secret() for _ in range(4))
GOOD = hmac_token(claims(scope="chat tools:*"))
PROVIDER_KEY = "sk-proj-Zt4kQ9vXw2LmN8bR7cYdPfHs"
REDIS_PASSWORD = "Correct4Horse9Battery"
BAD_TOKENS = (
    hmac_token(secret=SECRET + "x"),
    hmac_token(claims(aud="another")),
    hmac_token(claims(exp=1)),
    hmac_token(claims(sub={"a": 1})),
    hmac_token(claims(scope=7)),
    forged({"alg": "none"}, claims()),
    forged({"alg": "HS256", "kid": ["x"]}, claims(), SECRET.encode()),
    forged(b"[" * 3000, claims()),
    GOOD[:-1],
    f"{GOOD}.{GOOD}",
)
PLANTED = (
    *(KEY, UNKNOWN, EXPIRED, REVOKED, *map(fingerprint, (KEY, UNKNOWN, EXPIRED, REVOKED))),
    *(token.split(".")[-1] for token in (GOOD, *BAD_TOKENS[:5]) if token.split(".")[-1]),
    *(SECRET, PROVIDER_KEY, REDIS_PASSWORD),
)


JWT = {"auth": "jwt", "jwt_issuer": ISSUER, "jwt_audience": AUDIENCE}


@pytest.fixture
def keys_file(tmp_path: Path) -> Path:
    file = tmp_path / "keys.jsonl"
    file.write_text(line(KEY) + line(REVOKED) + line(EXPIRED, expires="2020-01-01T00:00:00Z"))
    return file


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    with Collector() as collector:
        yield collector


def echo(status: int) -> Reply:
    """A provider that puts into its refusal what it was sent."""
    words = f"Incorrect API key provided: {PROVIDER_KEY}. You sent: Authorization: Bearer {PROVIDER_KEY}"
    return Reply([json.dumps({"error": {"message": words, "type": "invalid_request_error"}}).encode()], status)


def every_way_to_send(credential: str) -> list[dict[str, str]]:
    basic = base64.b64encode(f"user:{credential}".encode()).decode()
    return [
        {"authorization": f"Bearer {credential}"},
        {"authorization": f"bearer   {credential}"},
        {"authorization": f"Token {credential}"},
        {"authorization": credential},
        {"authorization": f"Basic {basic}"},
        {"authorization": f"Bearer {credential}, Bearer {credential}"},
        {"authorization": f"Bearer {credential}", "proxy-authorization": f"Bearer {credential}"},
        {"x-api-key": credential},
        {"cookie": f"session={credential}"},
    ]


def be_refused(service: Service, credential: str) -> list[httpx.Response]:
    answers = [
        service.client.request(method, path, json=body, headers=headers)
        for headers in every_way_to_send(credential)
        for method, path, body in (("POST", "/chat", {"message": "hi"}), ("GET", "/nowhere", None))
    ]
    good = {"authorization": f"Bearer {KEY}"}
    for headers in ({}, good):
        answers += [
            service.client.get(f"/sessions/{credential}", headers=headers),
            service.client.get(f"/usage?days=x&access_token={credential}", headers=headers),
            service.client.get(f"/{credential}/%00", headers=headers),
            service.client.post(f"/api/tools/{credential}", json={}, headers=headers),
        ]
    return answers


def malformed(service: Service, credential: str) -> bytes:
    """What is said to heads that are no HTTP."""
    said = b""
    for lines in (
        b"GET / HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %b\x00\r\n\r\n",
        b"GET / HTTP/1.1\r\nAuthorization Bearer %b\r\n\r\n",
        b"Authorization: Bearer %b\r\n\r\n",
        b"POST /chat HTTP/1.1\r\nHost: x\r\nContent-Length: x\r\nAuthorization: Bearer %b\r\n\r\n",
    ):
        with connected(service.port) as connection:
            connection.sendall(lines % credential.encode())
            said += connection.recv(65_536)
    return said


def test_nothing_planted_comes_out_anywhere(
    collector: Collector, serve: Serve, keys_file: Path, upstream: Upstream
) -> None:
    service = serve(
        auth="api-key,jwt",
        api_keys_file=keys_file,
        jwt_issuer=ISSUER,
        jwt_audience=AUDIENCE,
        jwt_secret=SECRET,
        jwt_algorithms="HS256",
        models=f"{MODEL},demo",
        openai_base_url=f"{upstream.url}/v1",
        openai_api_key=PROVIDER_KEY,
        unknown_price="allow",
        redis_url=f"redis://:{REDIS_PASSWORD}@127.0.0.1:{free_port()}",
        limits_fail="open",
        log_level="debug",
        log_content="true",
        otel_exporter_otlp_endpoint=collector.endpoint,
        otel_bsp_schedule_delay=100,
        otel_instrumentation_http_capture_headers_server_request=".*",
        otel_instrumentation_http_capture_headers_server_response=".*",
    )
    service.may_log_errors = True
    answers: list[httpx.Response] = []
    for credential in (UNKNOWN, EXPIRED, *BAD_TOKENS):
        answers += be_refused(service, credential)
    assert {answer.status_code for answer in answers} <= {401, 403, 404, 405, 422, 503}
    for reply in (echo(400), echo(401), echo(500), refuses(429), says_whole("Hello")):
        upstream.will(reply)
        answers += [
            service.ask("POST", "/chat", {"message": "hi"}, authorization=f"Bearer {credential}")
            for credential in (KEY, GOOD)
        ]
    assert answers[-1].status_code == 200, answers[-1].text
    keys_file.write_text(line(KEY) + REVOKED)  # a key where its hash should be
    service.wait_for_event("api_keys.refused")
    said = malformed(service, KEY)
    collector.wait_for(answers[-1].json()["trace_id"], "POST /chat")
    spans = "\n".join(map(repr, collector.spans))
    assert "http.request.header.authorization" in spans
    told = "\n".join(f"{answer.headers} {answer.text}" for answer in answers if "/sessions/" not in str(answer.url))
    metrics = httpx.get(service.metrics_url, trust_env=False).text
    everywhere = {"log": service.raw_log(), "stderr": service.stderr(), "spans": spans, "metrics": metrics}
    for place, text in everywhere.items():
        for planted in PLANTED:
            assert planted not in text, f"{planted[:12]}… in {place}: {text[text.index(planted) - 300 :][:300]}"
    for secret in (SECRET, PROVIDER_KEY, REDIS_PASSWORD, KEY):
        assert secret not in told
        assert secret.encode() not in said


@pytest.mark.parametrize(
    "settings",
    [
        {"openai_base_url": f"https://ada:{PROVIDER_KEY}@host/v1"},
        {"anthropic_base_url": f"https://:{PROVIDER_KEY}@host"},
        {"ollama_api_base": f"http://{PROVIDER_KEY}@host:11434"},
        {
            "jwt_jwks_url": f"https://ada:{PROVIDER_KEY}@host/keys",
            **JWT,
        },
        {"redis_url": f"redis://:{PROVIDER_KEY}/x@host"},
        {"otel_exporter_otlp_endpoint": f"http://ada:{PROVIDER_KEY}@host:4317"},
        {"models": "openai/x", "https_proxy": f"ada:{PROVIDER_KEY}@proxy", "unknown_price": "allow"},
        {"openai_api_key": f"{PROVIDER_KEY}\x01", "models": "openai/x"},
        {"anthropic_api_key": f"{PROVIDER_KEY} two", "models": "anthropic/claude-sonnet-4-5"},
        {"jwt_secret": PROVIDER_KEY, **JWT, "jwt_algorithms": "HS512"},
        {"port": PROVIDER_KEY},
        {"limits": PROVIDER_KEY},
        {"model_options": json.dumps({"openai/x": {"api_key": PROVIDER_KEY}}), "models": "openai/x"},
        {"cors_origins": f"https://ada:{PROVIDER_KEY}@host"},
        {"trusted_proxies": f"ada:{PROVIDER_KEY}@10.0.0.1"},
        {"auth": PROVIDER_KEY},
        {"jwt_public_key": PROVIDER_KEY, **JWT},
    ],
    ids=lambda settings: next(iter(settings)),
)
def test_a_start_that_is_refused_repeats_no_secret(tmp_path: Path, settings: dict[str, Any]) -> None:
    status, stdout, stderr = run_to_end(tmp_path, **settings)
    assert (status, stdout.count("Traceback"), stderr.count("Traceback")) == (2, 0, 0), stderr
    assert PROVIDER_KEY not in stdout + stderr
