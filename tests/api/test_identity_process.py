"""Identity as the process has it: its start, its logs, its addresses, and sessions that several processes share."""

import json
from pathlib import Path
from typing import Any

import pytest

from app.access.api_keys import fingerprint, new_secret
from tests.access.issuer import AUDIENCE, ISSUER, OTHER_RSA, RSA, SECRET, claims, hmac_token, pem, private_pem, token
from tests.access.keys import line
from tests.conftest import Serve
from tests.redis_server import RedisServer
from tests.service import Service, run_to_end

ADA, BOB, EXPIRED = new_secret(), new_secret(), new_secret()
JWT: dict[str, str] = {"auth": "jwt", "jwt_issuer": ISSUER, "jwt_audience": AUDIENCE}


@pytest.fixture
def keys_file(tmp_path: Path) -> Path:
    file = tmp_path / "keys.jsonl"
    file.write_text(line(ADA) + line(BOB, user="bob") + line(EXPIRED, expires="2020-01-01T00:00:00Z"))
    return file


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"auth": "password"}, "AUTH"),
        ({"auth": "api-key", "api_keys_file": "nowhere"}, "API_KEYS_FILE"),
        ({**JWT, "jwt_secret": SECRET, "jwt_algorithms": "HS256,RS256"}, "JWT_ALGORITHMS"),
        ({**JWT, "jwt_secret": "a-short-secret", "jwt_algorithms": "HS256"}, "JWT_SECRET"),
        ({**JWT, "jwt_public_key": private_pem(RSA)}, "JWT_PUBLIC_KEY"),
        ({**JWT, "jwt_jwks_url": "http://issuer.example/keys"}, "JWT_JWKS_URL"),
        ({"trusted_proxies": "0.0.0.0/0"}, "TRUSTED_PROXIES"),
    ],
)
def test_a_bad_setting_stops_the_start_and_is_named(tmp_path: Path, settings: dict[str, Any], named: str) -> None:
    status, stdout, stderr = run_to_end(tmp_path, **settings)
    assert status == 2
    assert f"\n{named}: " in stderr
    for secret in (SECRET, "a-short-secret", private_pem(RSA).splitlines()[1]):
        assert secret not in stdout + stderr


def test_a_process_without_authentication_says_so(serve: Serve) -> None:
    assert serve().log("auth.none", level="warning")


@pytest.mark.parametrize("by_secret", [True, False])
def test_no_secret_is_ever_logged(serve: Serve, keys_file: Path, by_secret: bool) -> None:
    if by_secret:
        settings = {"jwt_secret": SECRET, "jwt_algorithms": "HS256"}
        tokens = (hmac_token(), hmac_token(secret=SECRET + "x"), hmac_token(claims(aud="another")))
    else:
        settings = {"jwt_public_key": pem(RSA)}
        tokens = (token(), token(key=OTHER_RSA), token(claims(aud="another")))
    service = serve(
        **{**JWT, "auth": "api-key,jwt"}, **settings, api_keys_file=keys_file, log_level="debug", log_content="true"
    )
    service.may_log_errors = True
    statuses = []
    for credential in (ADA, tokens[0], ADA[:-1] + "!", EXPIRED, *tokens[1:]):
        response = service.ask("POST", "/chat", {"message": "hi"}, authorization=f"Bearer {credential}")
        statuses.append(response.status_code)
        assert credential not in response.text
    assert statuses == [200, 200, 401, 401, 401, 401]
    keys_file.write_text(ADA)
    service.wait_for_event("api_keys.refused")
    assert len(service.log("auth.refused")) == 2
    shown = service.raw_log() + service.stderr()
    for secret in (ADA, ADA[:-1], EXPIRED, SECRET, *tokens, *(text.split(".")[2] for text in tokens)):
        assert secret not in shown
        assert fingerprint(secret) not in shown


ONE_A_MINUTE = json.dumps({"tiers": {"default": {"user": {"per_minute": 1}}}})


def test_a_header_cannot_choose_the_address_that_anonymous_callers_are_counted_by(serve: Serve) -> None:
    service = serve(limits=ONE_A_MINUTE)
    statuses = [
        service.ask("POST", "/chat", {"message": "hi"}, x_forwarded_for=f"203.0.113.{number}").status_code
        for number in range(3)
    ]
    assert statuses == [200, 429, 429]


def test_behind_a_trusted_proxy_anonymous_callers_are_counted_by_what_it_saw(serve: Serve) -> None:
    service = serve(limits=ONE_A_MINUTE, trusted_proxies="127.0.0.0/8")
    statuses = [
        service.ask("POST", "/chat", {"message": "hi"}, x_forwarded_for=forwarded).status_code
        for forwarded in ("203.0.113.1", "203.0.113.2", "1.1.1.1, 203.0.113.2")
    ]
    assert statuses == [200, 200, 429]


def test_a_session_belongs_to_its_user_in_every_process(
    serve: Serve, keys_file: Path, redis_server: RedisServer
) -> None:
    settings = {"auth": "api-key", "api_keys_file": keys_file, "redis_url": redis_server.url}
    one, other = serve(**settings), serve(**settings)
    ada, bob = ({"authorization": f"Bearer {key}"} for key in (ADA, BOB))
    body = {"message": "Remember me", "session_id": "shared-by-name"}
    assert one.ask("POST", "/chat", body, **ada).status_code == 200
    for service in (one, other):
        assert service.ask("GET", "/sessions/shared-by-name", **ada).status_code == 200
        assert service.ask("GET", "/sessions/shared-by-name", **bob).status_code == 404
        assert service.ask("DELETE", "/sessions/shared-by-name", **bob).status_code == 404
    assert other.ask("DELETE", "/sessions/shared-by-name", **ada).status_code == 204


def test_a_name_that_anybody_may_give_is_not_that_of_a_key_or_a_token(
    serve: Serve, keys_file: Path, redis_server: RedisServer
) -> None:
    """The same name by a key, by a token and by nobody is three users, also after AUTH was switched on or off."""
    keys_file.write_text(line(ADA, scopes=["chat", "admin"]))
    store = redis_server.url.removesuffix("/0") + "/7"  # nobody else has called here
    known = serve(
        **{**JWT, "auth": "api-key,jwt"},
        jwt_secret=SECRET,
        jwt_algorithms="HS256",
        api_keys_file=keys_file,
        redis_url=store,
    )
    open_to_all = serve(redis_url=store)
    callers: dict[str, tuple[Service, dict[str, str]]] = {
        "key": (known, {"authorization": f"Bearer {ADA}"}),
        "token": (known, {"authorization": f"Bearer {hmac_token()}"}),
        "nobody": (open_to_all, {}),
    }
    session = "of-three-adas"
    for name, (service, headers) in callers.items():
        assert service.ask("GET", f"/sessions/{session}?user_id=ada", **headers).status_code == 404
        body = {"message": f"I am {name}", "session_id": session, "user_id": "ada"}
        assert service.ask("POST", "/chat", body, **headers).status_code == 200
    for name, (service, headers) in callers.items():
        turns = service.ask("GET", f"/sessions/{session}?user_id=ada", **headers).json()["turns"]
        assert [turn["messages"][0]["content"] for turn in turns] == [f"I am {name}"]
        assert session in service.ask("GET", "/sessions?user_id=ada", **headers).text
        rows = service.ask("GET", "/usage?user_id=ada", **headers).json()["usage"]
        assert [(row["user"], row["calls"]) for row in rows] == [("ada", 1)]
    everyone = known.ask("GET", "/admin/usage", **callers["key"][1]).json()["usage"]
    assert {row["user"] for row in everyone if row["user"].endswith("ada")} == {"ada", "jwt:ada", "anonymous:ada"}
    for asked, found in (("ada", {"ada", "jwt:ada"}), ("jwt:ada", {"jwt:ada"}), ("bob", set())):
        answer = known.ask("GET", f"/admin/usage?user_id={asked}", **callers["key"][1])
        assert {row["user"] for row in answer.json()["usage"]} == found
    service, headers = callers.pop("key")
    assert service.ask("DELETE", f"/sessions/{session}", **headers).status_code == 204
    for service, headers in callers.values():
        assert service.ask("GET", f"/sessions/{session}?user_id=ada", **headers).status_code == 200
