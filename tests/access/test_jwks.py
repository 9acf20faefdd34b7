"""An issuer's published keys, from a real HTTP server: kept through outages, fetched anew within bounds."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.access import jwks as module
from app.access.jwks import Jwks
from app.access.jwt import Claims, Tokens
from app.errors import ConfigurationError, IdentityUnavailable, Unauthorized
from tests.access.issuer import AUDIENCE, EC, ISSUER, OTHER_RSA, RSA, KeyServer, claims, forged, jwk, key_set, token
from tests.logged import capture_logs

ALGORITHMS = ("RS256", "ES256")


@pytest.fixture
async def server() -> AsyncIterator[KeyServer]:
    async with KeyServer(key_set(jwk(RSA, "one"), jwk(EC, "two"))) as server:
        yield server


def tokens_of(server: KeyServer) -> Tokens:
    return Tokens(ALGORITHMS, Jwks(server.url, ALGORITHMS), Claims(ISSUER, AUDIENCE))


async def refused(tokens: Tokens, text: str) -> bool:
    with pytest.raises(Unauthorized) as caught:
        await tokens.verify(text)
    return caught.value.problem == "invalid"


def later(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    """From now on the module's clock, and only that, is ahead."""
    monkeypatch.setattr(module, "monotonic", lambda: time.monotonic() + seconds)


async def test_a_token_is_verified_with_the_key_that_it_names(server: KeyServer) -> None:
    tokens = tokens_of(server)
    assert (await tokens.verify(token(kid="one"))).user == "jwt:ada"
    assert (await tokens.verify(token(key=EC, algorithm="ES256", kid="two"))).user == "jwt:ada"
    assert await refused(tokens, token(key=OTHER_RSA, kid="one"))
    assert await refused(tokens, token(kid="two"))
    assert server.asked == 1


@pytest.mark.parametrize("kid", ["unknown", "../../etc/passwd", "/dev/null", "http://127.0.0.1:1/", "", "'; --", "\0"])
async def test_an_unknown_key_id_is_refused_whatever_it_looks_like(server: KeyServer, kid: str) -> None:
    assert await refused(tokens_of(server), token(kid=kid))


@pytest.mark.parametrize("kid", [7, ["one"], {"one": 1}, True])
async def test_a_key_id_that_is_no_text_is_refused(server: KeyServer, kid: Any) -> None:
    assert await refused(tokens_of(server), forged({"alg": "RS256", "kid": kid}, claims()))


async def test_unknown_key_ids_make_one_fetch_a_minute(server: KeyServer, monkeypatch: pytest.MonkeyPatch) -> None:
    tokens = tokens_of(server)
    await tokens.verify(token(kid="one"))
    later(monkeypatch, module.REFETCH_SECONDS + 1)
    asked = server.asked
    for number in range(20):
        assert await refused(tokens, token(kid=f"unknown-{number}"))
    assert server.asked == asked + 1
    later(monkeypatch, 2 * module.REFETCH_SECONDS + 2)
    assert await refused(tokens, token(kid="unknown"))
    assert server.asked == asked + 2


async def test_a_wrong_algorithm_makes_no_fetch(server: KeyServer) -> None:
    assert await refused(tokens_of(server), forged({"alg": "HS256", "kid": "three"}, claims(), b"x"))
    assert server.asked == 0


async def test_a_new_key_is_found_when_a_token_names_it(server: KeyServer, monkeypatch: pytest.MonkeyPatch) -> None:
    tokens = tokens_of(server)
    await tokens.verify(token(kid="one"))
    server.body = key_set(jwk(RSA, "one"), jwk(OTHER_RSA, "three"))
    later(monkeypatch, module.REFETCH_SECONDS + 1)
    assert (await tokens.verify(token(key=OTHER_RSA, kid="three"))).user == "jwt:ada"


async def test_a_key_that_is_taken_away_ends_its_tokens_too(server: KeyServer) -> None:
    keys = Jwks(server.url, ALGORITHMS)
    tokens = Tokens(ALGORITHMS, keys, Claims(ISSUER, AUDIENCE))
    text = token(kid="one")
    await tokens.verify(text)
    server.body = key_set(jwk(EC, "two"))
    assert await keys.refresh()
    assert await refused(tokens, text)


async def test_a_key_that_is_taken_away_withdraws_what_it_let_in_and_another_does_not(server: KeyServer) -> None:
    keys = Jwks(server.url, ALGORITHMS)
    tokens = Tokens(ALGORITHMS, keys, Claims(ISSUER, AUDIENCE))
    shown = (await tokens.verify(token(kid="one"))).credential
    for body, problem in (
        (key_set(jwk(EC, "two"), jwk(RSA, "renamed", alg="RS256")), None),
        (key_set(jwk(OTHER_RSA, "one"), jwk(EC, "two")), "revoked"),
        (key_set(jwk(RSA, "one")), None),
    ):
        server.body = body
        assert await keys.refresh()
        assert shown.withdrawn() == problem


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (500, b"oops"),
        (404, key_set(jwk(OTHER_RSA, "one"))),
        (200, b""),
        (200, b"\xff\xfe"),
        (200, b"[" * 100_000),
        (200, b"null"),
        (200, b"[]"),
        (200, b'{"keys":{}}'),
        (200, b'{"keys":[]}'),
        (200, b'{"keys":[7,null,{}]}'),
        (200, b'{"keys":[{"kty":"RSA","kid":"one","key_ops":5}]}'),
        (200, b'{"keys":[{"kty":["RSA"],"kid":"one","use":{}}]}'),
        (200, key_set({"kty": "oct", "kid": "one", "k": "AAAA"})),
        (200, key_set(*[jwk(RSA, str(number)) for number in range(module.MAX_KEYS + 1)])),
        (200, b" " * (module.MAX_BYTES + 1)),
    ],
)
async def test_the_keys_stay_when_the_issuer_answers_nonsense(server: KeyServer, status: int, body: bytes) -> None:
    keys = Jwks(server.url, ALGORITHMS)
    assert await keys.refresh()
    server.status, server.body = status, body
    assert not await keys.refresh()
    assert await keys.find("one") is not None


async def test_keys_are_not_taken_from_where_the_issuer_redirects(server: KeyServer) -> None:
    async with KeyServer(key_set(jwk(OTHER_RSA, "one"))) as other:
        server.status, server.headers = 302, {"Location": other.url}
        with pytest.raises(IdentityUnavailable):
            await tokens_of(server).verify(token(key=OTHER_RSA, kid="one"))
        assert other.asked == 0


async def test_the_keys_stay_while_the_issuer_is_away(server: KeyServer) -> None:
    keys = Jwks(server.url, ALGORITHMS)
    assert await keys.refresh()
    await server.close()
    assert not await keys.refresh()
    assert await keys.find("one") is not None


async def test_without_any_key_nobody_is_let_in_nor_called_invalid(
    server: KeyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.status = 503
    tokens = tokens_of(server)
    for _ in range(3):
        with pytest.raises(IdentityUnavailable):
            await tokens.verify(token(kid="one"))
    assert server.asked == 1
    server.status = 200
    later(monkeypatch, module.RETRY_SECONDS + 1)
    assert (await tokens.verify(token(kid="one"))).user == "jwt:ada"


async def test_a_hanging_issuer_holds_up_only_tokens_with_unknown_keys(
    server: KeyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "FETCH_SECONDS", 0.3)
    tokens = tokens_of(server)
    await tokens.verify(token(kid="one"))
    later(monkeypatch, module.REFETCH_SECONDS + 1)
    server.delay = 30
    waiting = [asyncio.create_task(refused(tokens, token(kid="unknown"))) for _ in range(5)]
    await asyncio.sleep(0.05)
    async with asyncio.timeout(0.2):
        assert (await tokens.verify(token(claims(sub="bob"), kid="one"))).user == "jwt:bob"
    async with asyncio.timeout(2):
        assert all(await asyncio.gather(*waiting))
    assert server.asked == 2


async def test_a_caller_that_leaves_does_not_end_the_fetch_for_others(server: KeyServer) -> None:
    server.delay = 0.2
    tokens = tokens_of(server)
    first = asyncio.create_task(tokens.verify(token(kid="one")))
    second = asyncio.create_task(tokens.verify(token(claims(sub="bob"), kid="one")))
    await asyncio.sleep(0.05)
    first.cancel()
    assert (await second).user == "jwt:bob"
    assert server.asked == 1


async def test_the_only_key_serves_tokens_that_name_none(server: KeyServer) -> None:
    assert await refused(tokens_of(server), token())
    server.body = key_set(jwk(RSA, "one"))
    tokens = tokens_of(server)
    assert (await tokens.verify(token())).user == "jwt:ada"
    assert await refused(tokens, token(kid="another"))
    server.body = key_set(jwk(RSA))
    assert (await tokens_of(server).verify(token())).user == "jwt:ada"


async def test_watching_fetches_at_once_and_again(server: KeyServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "REFRESH_SECONDS", 0.02)
    monkeypatch.setattr(module, "RETRY_SECONDS", 0.01)
    watching = asyncio.create_task(Jwks(server.url, ALGORITHMS).watch())
    await server.asked_times(3)
    server.status = 500
    await server.asked_times(6)
    watching.cancel()


@pytest.mark.parametrize(
    "url", ["", "keys", "ftp://issuer.example/keys", "file:///etc/passwd", "https://", "http://issuer.example/keys"]
)
def test_an_address_that_keys_must_not_come_from_stops_the_start(url: str) -> None:
    with pytest.raises(ConfigurationError, match=r"^JWT_JWKS_URL: "):
        Jwks(url, ALGORITHMS)


@pytest.mark.parametrize(
    "url", ["https://issuer.example/keys", "http://localhost:1/keys", "http://127.0.0.1/keys", "http://[::1]:1/keys"]
)
def test_https_and_this_host_are_fine(url: str) -> None:
    Jwks(url, ALGORITHMS)


def test_plain_http_from_elsewhere_has_to_be_asked_for() -> None:
    Jwks("http://issuer.example/keys", ALGORITHMS, allow_http=True)


GOOD = jwk(RSA, "one")
WRONG: dict[str, tuple[Any, ...]] = {
    "key_ops": (None, "verify", 7, {}, {"verify": 1}, [], ["sign"], [None]),
    "use": (None, "enc", "SIG", [], {}, 7),
    "alg": (None, "HS256", "none", "RSA-OAEP", [], {}),
    "kty": (None, "oct", "EC", "OKP", "rsa", [], {}),
    "n": (None, "", "!", "AA", "é", 7, [], "A" * 20_000),
    "e": (None, "", "AA", "AQ", "Ag", 65537),
    "kid": (7, [], {}, ["one"]),
    "d": ("AQAB", None),
}
WRONG_EC: dict[str, tuple[Any, ...]] = {
    "crv": ("P-999", "secp256k1", None, 7, [], "P-521"),
    "x": ("", "AA", None, jwk(EC)["y"]),
}
BROKEN: list[Any] = [
    *(None, 7, "key", True, [], {}, [GOOD], {"keys": [GOOD]}),
    *({**jwk(OTHER_RSA, "two"), name: value} for name, values in WRONG.items() for value in values),
    *({**jwk(EC, "two"), name: value} for name, values in WRONG_EC.items() for value in values),
    {"kty": "oct", "kid": "two", "k": "c2VjcmV0IHNlY3JldCBzZWNyZXQgc2VjcmV0IHNlY3JldA"},
    {"kty": "OKP", "crv": "X25519", "kid": "two", "x": "AA"},
]


@pytest.mark.parametrize("broken", BROKEN)
@pytest.mark.parametrize("first", [True, False])
async def test_an_entry_that_cannot_be_used_costs_no_other(server: KeyServer, broken: Any, first: bool) -> None:
    server.body = key_set(*([broken, GOOD] if first else [GOOD, broken]))
    tokens = tokens_of(server)
    assert (await tokens.verify(token(kid="one"))).user == "jwt:ada"
    assert await refused(tokens, token(key=OTHER_RSA, kid="two"))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
NAMES = ("kty", "kid", "use", "alg", "key_ops", "n", "e", "crv", "x", "y", "d")
MEMBERS = st.dictionaries(st.sampled_from(NAMES), JSON)
ALMOST = st.builds(lambda changes: {**jwk(EC, "two"), **changes}, MEMBERS)


@given(st.lists(JSON | MEMBERS | ALMOST, max_size=5))
def test_no_entry_that_can_be_published_costs_the_good_one(entries: list[Any]) -> None:
    keys = Jwks("https://issuer.example/keys", ALGORITHMS)
    usable = keys.usable({"keys": [*entries, {**GOOD, "kid": "the good one"}]})
    assert usable["the good one"].key.public_numbers() == RSA.public_key().public_numbers()


async def test_of_two_keys_with_one_id_the_first_counts(server: KeyServer) -> None:
    server.body = key_set(jwk(RSA, "one"), jwk(OTHER_RSA, "one"))
    tokens = tokens_of(server)
    assert await tokens.verify(token(kid="one"))
    assert await refused(tokens, token(key=OTHER_RSA, kid="one"))


async def test_what_is_left_out_is_logged_once_and_without_what_it_holds(server: KeyServer) -> None:
    server.body = key_set(GOOD, {"kty": "RSA", "kid": "two", "n": "swordfish"}, {"kid": "x" * 500})
    keys = Jwks(server.url, ALGORITHMS)
    with capture_logs() as logs:
        for changes in ({}, {}, {"use": "sig"}):
            server.body = key_set(
                {**GOOD, **changes}, {"kty": "RSA", "kid": "two", "n": "swordfish"}, {"kid": "x" * 500}
            )
            assert await keys.refresh()
    told = [entry["key"] for entry in logs if entry["event"] == "jwks.key_left_out"]
    assert told == ["1: two", f"2: {'x' * 97}"]
    assert "swordfish" not in str(logs)


async def test_a_set_without_any_usable_key_says_so_once_for_each(server: KeyServer) -> None:
    server.body = key_set({"kty": "oct", "kid": "one"})
    keys = Jwks(server.url, ALGORITHMS)
    with capture_logs() as logs:
        for _ in range(3):
            assert not await keys.refresh()
    assert len([entry for entry in logs if entry["event"] == "jwks.key_left_out"]) == 1
