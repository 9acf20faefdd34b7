"""Who gets in, as whom, and what they may do: the real routes over real connections."""

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from app import reloading
from app.access import api_keys
from app.access.api_keys import new_secret
from app.access.names import name_of
from tests.access.issuer import (
    AUDIENCE,
    EC,
    ISSUER,
    OTHER_RSA,
    RSA,
    KeyServer,
    claims,
    forged,
    hmac_token,
    jwk,
    key_set,
    pem,
    token,
)
from tests.access.keys import line
from tests.api.serving import Service, serving

ADA, BOB, CLOCK, ADMIN, EXPIRED, NOBODY = (new_secret() for _ in range(6))
BY_RSA: dict[str, Any] = {"jwt_issuer": ISSUER, "jwt_audience": AUDIENCE, "jwt_public_key": pem(RSA)}
ALL = ["chat", "tools:*"]

pytestmark = pytest.mark.asyncio(loop_scope="module")


def write_keys(folder: Path) -> Path:
    file = folder / "keys.jsonl"
    file.write_text(
        line(ADA, user="ada", scopes=ALL)
        + line(BOB, user="bob", scopes=ALL)
        + line(CLOCK, user="cleo", scopes=["chat", "tools:clock"])
        + line(ADMIN, user="root", scopes=["admin"])
        + line(NOBODY, user="nobody", scopes=[])
        + line(EXPIRED, user="ada", scopes=ALL, expires="2020-01-01T00:00:00Z")
    )
    return file


@pytest.fixture
def keys_file(tmp_path: Path) -> Path:
    return write_keys(tmp_path)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def service(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Service]:
    keys_file = write_keys(tmp_path_factory.mktemp("keys"))
    async with serving(auth="api-key,jwt", api_keys_file=keys_file, **BY_RSA) as service:
        yield service


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def open_service() -> AsyncIterator[Service]:
    async with serving() as service:
        yield service


async def operations(service: Service) -> list[tuple[str, str]]:
    _, document, _ = await service.ask("GET", "/openapi.json")
    return [(method.upper(), path) for path, methods in document["paths"].items() for method in methods]


async def test_every_route_but_the_probes_wants_credentials(service: Service) -> None:
    closed = [known for known in await operations(service) if known[1] not in ("/live", "/ready", "/health")]
    assert len(closed) >= 9
    for method, path in closed:
        status, problem, headers = await service.ask(method, path.replace("{", "").replace("}", ""), body={})
        assert (method, path, status) == (method, path, 401)
        assert problem["type"] == "urn:agent-api:problem:unauthorized"
        assert headers["WWW-Authenticate"] == 'Bearer realm="agent-api"'


@pytest.mark.parametrize("path", ["/live", "/ready", "/health", "/docs", "/openapi.json"])
async def test_probes_and_documentation_are_open(service: Service, path: str) -> None:
    status, _, _ = await service.ask("GET", path)
    assert status == 200


async def test_keys_and_tokens_let_their_holders_in(service: Service) -> None:
    for credential in (ADA, token(), token(claims(exp=time.time() - 20)), token(claims(nbf=time.time() + 20))):
        assert (await service.chat("hello", credential))[0] == 200


PUBLIC = pem(RSA).encode()
REFUSED = {
    "empty": "",
    "wrong character": ADA[:-5] + ("x" if ADA[-5] != "x" else "y") + ADA[-4:],
    "unknown key": new_secret(),
    "hash of a key": api_keys.fingerprint(ADA),
    "not yet valid": token(claims(nbf=time.time() + 3600)),
    "alg none": forged({"alg": "none"}, claims()),
    "HMAC with the public key": forged({"alg": "HS256"}, claims(), PUBLIC),
    "HMAC": hmac_token(),
    "another audience": token(claims(aud="another")),
    "another issuer": token(claims(iss="https://another.example")),
    "another key": token(key=OTHER_RSA),
    "another kind of key": token(key=EC, algorithm="ES256"),
    "no subject": token(claims(sub=None)),
    "no expiry": token(claims(exp=None)),
    "no issuer": token(claims(iss=None)),
    "no audience": token(claims(aud=None)),
    "two tokens": f"{token()} {token()}",
    "two tokens with a comma": f"{token()}, {token()}",
    "nested": forged(b"[" * 5000, claims()),
}


@pytest.mark.parametrize("credential", REFUSED.values(), ids=REFUSED.keys())
async def test_bad_credentials_are_invalid_and_nothing_more(service: Service, credential: str) -> None:
    status, problem, headers = await service.ask("POST", "/chat", credential, {"message": "hi"})
    assert (status, problem["detail"]) == (401, "The credentials are invalid.")
    assert problem.keys() == {"type", "title", "status", "detail", "instance", "request_id"}
    assert headers["WWW-Authenticate"].startswith('Bearer realm="agent-api", error="invalid_token"')


async def test_expired_credentials_are_called_so(service: Service) -> None:
    for credential in (EXPIRED, token(claims(exp=time.time() - 40))):
        status, problem = await service.chat("hi", credential)
        assert (status, problem["detail"]) == (401, "The credentials are expired.")


GOOD = b"Authorization: Bearer " + ADA.encode()


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ((GOOD,), b"200"),
        ((b"authorization: bearer " + ADA.encode(),), b"200"),
        ((b"AUTHORIZATION: BEARER   " + ADA.encode() + b"  ",), b"200"),
        ((GOOD, GOOD), b"401"),
        ((b"Authorization: Bearer x", GOOD), b"401"),
        ((b"Authorization:", GOOD), b"401"),
        ((b"Authorization: Basic " + ADA.encode(),), b"401"),
        ((b"Authorization: " + ADA.encode(),), b"401"),
        ((b"Authorization: Bearer",), b"401"),
        ((b"Authorization: Bearer \xff\xfe",), b"401"),
        ((b"Authorization: Bearer \xc3\xa9.\xc3\xa9.\xc3\xa9",), b"401"),
        ((b"Authorization: Bearer " + b"A" * 100_000,), b"401"),
        ((b"Authorization: Bearer " + b"A" * 50_000 + b"." + b"B" * 50_000 + b".C",), b"401"),
        ((b"X-API-Key: " + ADA.encode(),), b"401"),
        ((b"Cookie: Authorization=" + ADA.encode(),), b"401"),
    ],
)
async def test_one_bearer_header_of_sane_size_is_what_counts(
    service: Service, headers: tuple[bytes, ...], status: bytes
) -> None:
    (head,) = await service.ask_raw(*headers)
    assert head.split(b" ")[1] == status


async def test_a_token_of_100_kilobytes_meets_no_parser(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jwt.get_unverified_header", None)
    long = token(claims(extra="x" * 75_000)).encode()
    assert len(long) > 100_000
    (head,) = await service.ask_raw(b"Authorization: Bearer " + long)
    assert head.split(b" ")[1] == b"401"


async def test_credentials_come_before_the_body(service: Service) -> None:
    assert (await service.ask("POST", "/chat", body={"nonsense": 1}))[0] == 401
    assert (await service.ask("POST", "/chat", ADA, body={"nonsense": 1}))[0] == 422


async def test_a_refused_upload_leaves_the_connection_in_order(service: Service) -> None:
    large = b'{"message":"' + b"x" * 900_000 + b'"}'
    heads = await service.ask_raw(body=large, times=3)
    assert [head.split(b" ")[1] for head in heads] == [b"401"] * 3


@pytest.mark.parametrize(
    ("credential", "method", "path", "body", "scope"),
    [
        (ADMIN, "POST", "/chat", {"message": "hi"}, "chat"),
        (ADMIN, "POST", "/api/chat", {"message": "hi"}, "chat"),
        (ADMIN, "POST", "/chat/stream", {"message": "hi"}, "chat"),
        (ADMIN, "POST", "/chat", {"message": "hi", "stream": True}, "chat"),
        (ADMIN, "POST", "/agent/run", {"query": "hi"}, "chat"),
        (ADMIN, "GET", "/sessions/s", None, "chat"),
        (ADMIN, "DELETE", "/sessions/s", None, "chat"),
        (NOBODY, "POST", "/api/tools/clock", {}, "tools:clock"),
        (CLOCK, "POST", "/api/tools/calculator", {"arguments": {"expression": "1"}}, "tools:calculator"),
        (CLOCK, "POST", "/api/tools/nothing", {}, "tools:nothing"),
        (CLOCK, "POST", "/agent/run", {"query": "hi", "tools": ["clock", "calculator"]}, "tools:calculator"),
    ],
)
async def test_a_missing_scope_is_named(
    service: Service, credential: str, method: str, path: str, body: Any, scope: str
) -> None:
    status, problem, headers = await service.ask(method, path, credential, body)
    assert (status, problem["detail"]) == (403, f"This needs the scope '{scope}'.")
    assert headers["WWW-Authenticate"] == f'Bearer realm="agent-api", error="insufficient_scope", scope="{scope}"'


async def test_a_tool_name_cannot_break_out_of_the_header(service: Service) -> None:
    status, _, headers = await service.ask("POST", "/api/tools/a%22%2Cb%0D%0Ac%C3%A9", CLOCK, {})
    assert status == 403
    assert "WWW-Authenticate" not in headers


async def test_everyone_who_is_known_sees_the_tools(service: Service) -> None:
    assert (await service.ask("GET", "/api/tools", NOBODY))[0] == 200


async def test_a_tools_scope_is_enough_for_that_tool(service: Service) -> None:
    assert (await service.ask("POST", "/api/tools/clock", CLOCK, {}))[1]["success"]


async def test_a_run_has_only_the_tools_that_its_caller_may_use(service: Service) -> None:
    question = {"query": "What is 6 * 7?"}
    _, answer, _ = await service.ask("POST", "/agent/run", ADA, question)
    assert [call["name"] for call in answer["tool_calls"]] == ["calculator"]
    _, answer, _ = await service.ask("POST", "/agent/run", CLOCK, question)
    assert answer["tool_calls"] == []
    status, _, _ = await service.ask("POST", "/agent/run", CLOCK, {**question, "tools": ["clock"]})
    assert status == 200


async def test_an_unknown_tool_is_unknown_to_those_who_may_use_all(service: Service) -> None:
    assert (await service.ask("POST", "/agent/run", ADA, {"query": "hi", "tools": ["nothing"]}))[0] == 404
    assert (await service.ask("POST", "/api/tools/nothing", ADA, {}))[0] == 404


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/chat", {"message": "hi", "user_id": "bob"}),
        ("POST", "/chat/stream", {"message": "hi", "user_id": "bob"}),
        ("POST", "/agent/run", {"query": "hi", "user_id": "bob"}),
        ("GET", "/sessions/s?user_id=bob", None),
        ("DELETE", "/sessions/s?user_id=bob", None),
    ],
)
async def test_nobody_speaks_in_anothers_name(service: Service, method: str, path: str, body: Any) -> None:
    for credential in (ADA, token()):
        status, problem, _ = await service.ask(method, path, credential, body)
        assert (status, problem["type"]) == (403, "urn:agent-api:problem:forbidden")
        assert "bob" not in problem["detail"]


async def test_ones_own_name_may_be_given(service: Service) -> None:
    assert (await service.chat("hi", ADA, user_id="ada"))[0] == 200
    assert (await service.chat("hi", token(), user_id="ada"))[0] == 200
    email = token(claims(sub="ada@example.com"))
    assert (await service.chat("hi", email, user_id=name_of("ada@example.com")))[0] == 200
    assert (await service.chat("hi", email, user_id="ada"))[0] == 403


async def test_a_session_belongs_to_its_user(service: Service) -> None:
    assert (await service.chat("Remember me", ADA, session_id="shared"))[0] == 200
    for stranger in (BOB, CLOCK, token(claims(sub="mallory"))):
        assert (await service.ask("GET", "/sessions/shared", stranger))[0] == 404
        assert (await service.ask("DELETE", "/sessions/shared", stranger))[0] == 404
    assert (await service.chat("And me", BOB, session_id="shared"))[0] == 200
    assert (await service.ask("GET", "/sessions/shared", token()))[0] == 404
    assert (await service.chat("By token", token(), session_id="shared"))[0] == 200
    for credential, said in ((ADA, "Remember me"), (token(), "By token"), (BOB, "And me")):
        _, session, _ = await service.ask("GET", "/sessions/shared", credential)
        assert [turn["messages"][0]["content"] for turn in session["turns"]] == [said]
    assert (await service.ask("DELETE", "/sessions/shared", BOB))[0] == 204
    assert (await service.ask("GET", "/sessions/shared", ADA))[0] == 200


async def test_a_revoked_key_is_refused_within_seconds(keys_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reloading, "CHECK_SECONDS", 0.05)
    async with serving(auth="api-key", api_keys_file=keys_file) as service:
        assert (await service.chat("hi", ADA))[0] == 200
        await asyncio.to_thread(keys_file.write_text, line(BOB, user="bob", scopes=ALL))
        deadline = time.monotonic() + 5
        while (await service.chat("hi", ADA))[0] != 401:
            assert time.monotonic() < deadline
        assert (await service.chat("hi", BOB))[0] == 200


async def test_an_issuers_published_keys_are_used() -> None:
    async with KeyServer(key_set(jwk(RSA, "one"))) as issuer:
        settings = {"auth": "jwt", "jwt_issuer": ISSUER, "jwt_audience": AUDIENCE, "jwt_jwks_url": issuer.url}
        async with serving(**settings) as service:
            assert (await service.chat("hi", token(kid="one")))[0] == 200
            assert (await service.chat("hi", token(kid="../../one")))[0] == 401
            assert (await service.chat("hi", ADA))[0] == 401


async def test_without_the_issuers_keys_the_service_says_that_it_cannot_tell() -> None:
    async with KeyServer() as issuer:
        issuer.status = 500
        settings = {"auth": "jwt", "jwt_issuer": ISSUER, "jwt_audience": AUDIENCE, "jwt_jwks_url": issuer.url}
        async with serving(**settings) as service:
            status, problem, headers = await service.ask("POST", "/chat", token(kid="one"), {"message": "hi"})
            assert (status, problem["type"]) == (503, "urn:agent-api:problem:identity-unavailable")
            assert int(headers["Retry-After"]) > 0
            assert (await service.ask("GET", "/live"))[0] == 200


async def test_without_authentication_a_caller_is_who_they_say(open_service: Service) -> None:
    assert (await open_service.chat("Remember me", user_id="ada", session_id="s"))[0] == 200
    assert (await open_service.ask("GET", "/sessions/s?user_id=ada"))[0] == 200
    assert (await open_service.ask("GET", "/sessions/s"))[0] == 404
    assert (await open_service.ask("POST", "/api/tools/clock", body={}))[1]["success"]
    assert (await open_service.chat("hi", "whatever is sent here"))[0] == 200


async def test_the_document_shows_how_to_authenticate(service: Service, open_service: Service) -> None:
    _, document, _ = await service.ask("GET", "/openapi.json")
    assert document["components"]["securitySchemes"]["bearer"]["scheme"] == "bearer"
    for path, methods in document["paths"].items():
        for operation in methods.values():
            if path in ("/live", "/ready", "/health"):
                assert "security" not in operation
            else:
                assert operation["security"] == [{"bearer": []}]
                for status in ("401", "403"):
                    schema = operation["responses"][status]["content"]["application/problem+json"]["schema"]
                    assert schema == {"$ref": "#/components/schemas/Problem"}
    assert "Problem" in document["components"]["schemas"]
    _, document, _ = await open_service.ask("GET", "/openapi.json")
    assert "securitySchemes" not in document["components"]


async def test_everyones_usage_is_for_the_scope_admin_alone(service: Service, open_service: Service) -> None:
    assert (await service.ask("GET", "/admin/usage", ADMIN))[0] == 200
    for asked, credential in ((service, ADA), (service, token()), (open_service, None)):
        status, problem, _ = await asked.ask("GET", "/admin/usage", credential)
        assert (status, problem["detail"]) == (403, "This needs the scope 'admin'.")
    assert (await service.ask("GET", "/usage", NOBODY))[0] == 200
    assert (await service.ask("GET", "/usage?user_id=bob", ADA))[0] == 403
