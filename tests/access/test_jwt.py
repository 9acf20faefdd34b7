"""Tokens: what is taken, what is refused, and what a name becomes."""

import asyncio
import time
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.access import jwt as module
from app.access.jwt import LEEWAY_SECONDS, Claims, Tokens
from app.access.jwt_keys import OneKey, TokenKeys, public_key, secret_key
from app.access.principal import Principal
from app.errors import Unauthorized
from tests.access.issuer import (
    AUDIENCE,
    EC,
    ED,
    ISSUER,
    OTHER_RSA,
    RSA,
    SECRET,
    PrivateKey,
    claims,
    forged,
    hmac_token,
    pem,
    token,
)

CLAIMS = Claims(ISSUER, AUDIENCE)


def taker(keys: TokenKeys, *algorithms: str, names: Claims = CLAIMS) -> Tokens:
    return Tokens(algorithms, keys, names)


@pytest.fixture
def by_secret() -> Tokens:
    return taker(secret_key(SECRET, ["HS256"]), "HS256")


@pytest.fixture
def by_rsa() -> Tokens:
    return taker(public_key(pem(RSA), ["RS256"]), "RS256")


async def refusal(tokens: Tokens, text: str) -> str:
    with pytest.raises(Unauthorized) as caught:
        await tokens.verify(text)
    assert caught.value.__cause__ is None, "nothing of the token may reach a log by way of a cause"
    return caught.value.problem


async def test_a_good_token_tells_user_scopes_team_and_tier(by_secret: Tokens) -> None:
    principal = await by_secret.verify(hmac_token(claims(scope="chat tools:clock openid", team="search", tier="gold")))
    assert principal == Principal(
        "jwt:ada", "search", "gold", frozenset({"chat", "tools:clock"}), address="", authenticated=True
    )


async def test_a_token_without_scopes_may_do_nothing(by_secret: Tokens) -> None:
    assert (await by_secret.verify(hmac_token(claims(scope=None)))).scopes == frozenset()


@pytest.mark.parametrize("apart", ["\u00a0", "\t", "\n", "\r", "\v", "\x1c", "\x85", "\u2003", "\u2028", "\u3000", ","])
async def test_scopes_are_apart_by_spaces_and_nothing_else(by_secret: Tokens, apart: str) -> None:
    for text in (f"openid{apart}admin", f"admin{apart}", f"{apart}admin", f"chat{apart}admin"):
        assert (await by_secret.verify(hmac_token(claims(scope=text)))).scopes == frozenset()
        principal = await by_secret.verify(hmac_token(claims(scope=f"{text}  runs ")))
        assert principal.scopes == {"runs"}
    assert (await by_secret.verify(hmac_token(claims(scope=[f"admin{apart}", "chat runs"])))).scopes == frozenset()


async def test_scopes_may_be_a_list_and_claims_may_have_other_names() -> None:
    names = Claims(ISSUER, AUDIENCE, scope="scp", team="org", tier="plan")
    tokens = taker(secret_key(SECRET, ["HS256"]), "HS256", names=names)
    principal = await tokens.verify(hmac_token(claims(scp=["admin", "chat"], org="search", plan="gold", scope="runs")))
    assert principal.scopes == {"admin", "chat"}
    assert (principal.team, principal.tier) == ("search", "gold")


@pytest.mark.parametrize(
    ("key", "algorithm"),
    [(RSA, "RS256"), (RSA, "PS512"), (EC, "ES256"), (ED, "EdDSA")],
    ids=["RS256", "PS512", "ES256", "EdDSA"],
)
async def test_every_kind_of_public_key_verifies(key: PrivateKey, algorithm: str) -> None:
    tokens = taker(public_key(pem(key), [algorithm]), algorithm)
    assert (await tokens.verify(token(key=key, algorithm=algorithm))).user == "jwt:ada"


async def test_clocks_may_be_20_seconds_apart(by_secret: Tokens) -> None:
    now = time.time()
    assert await by_secret.verify(hmac_token(claims(exp=now - 20)))
    assert await by_secret.verify(hmac_token(claims(nbf=now + 20, iat=now + 20)))


async def test_an_expired_token_is_refused_as_expired(by_secret: Tokens) -> None:
    assert await refusal(by_secret, hmac_token(claims(exp=time.time() - LEEWAY_SECONDS - 1))) == "expired"


@pytest.mark.parametrize(
    "changes",
    [
        {"nbf": 10**12},
        {"iat": 10**12},
        {"aud": "another-service"},
        {"aud": ["another-service"]},
        {"aud": {"agent-api": 1}},
        {"iss": "https://another.example"},
        {"iss": [ISSUER]},
        {"exp": None},
        {"iss": None},
        {"aud": None},
        {"sub": None},
        {"sub": ""},
        {"sub": 7},
        {"sub": ["ada"]},
        {"exp": "soon"},
        {"exp": [1]},
        {"nbf": "later"},
        {"scope": 7},
        {"scope": {"chat": True}},
        {"scope": ["chat", 7]},
        {"team": 7},
        {"tier": ["gold"]},
    ],
    ids=str,
)
async def test_a_token_with_a_wrong_or_missing_claim_is_refused(by_secret: Tokens, changes: dict[str, Any]) -> None:
    says = {name: value for name, value in {**claims(), **changes}.items() if value is not None}
    key = SECRET.encode()
    assert await refusal(by_secret, forged({"alg": "HS256", "typ": "JWT"}, says, key)) == "invalid"


@pytest.mark.parametrize("exp", [b"Infinity", b"NaN", b"1e999", b"-1e999", b"true", b"9" * 5000])
async def test_a_signed_expiry_that_is_no_time_is_refused_or_harmless(by_secret: Tokens, exp: bytes) -> None:
    says = b'{"iss":"%b","aud":"%b","sub":"ada","exp":%b}' % (ISSUER.encode(), AUDIENCE.encode(), exp)
    assert await refusal(by_secret, forged({"alg": "HS256"}, says, SECRET.encode())) in ("invalid", "expired")


@pytest.mark.parametrize(
    "algorithm", ["none", "None", "NONE", "", None, "HS256", "HS384", "RS512", "ES256", 5, ["RS256"]]
)
async def test_a_header_cannot_choose_its_algorithm(by_rsa: Tokens, algorithm: Any) -> None:
    for key in (None, b"", pem(RSA).encode(), pem(RSA).strip().encode()):
        assert await refusal(by_rsa, forged({"alg": algorithm, "typ": "JWT"}, claims(), key)) == "invalid"


async def test_a_token_signed_with_the_public_key_as_a_secret_is_refused(by_rsa: Tokens) -> None:
    assert await refusal(by_rsa, forged({"alg": "HS256"}, claims(), pem(RSA).encode())) == "invalid"


async def test_a_token_of_another_key_is_refused(by_rsa: Tokens, by_secret: Tokens) -> None:
    assert await refusal(by_rsa, token(key=OTHER_RSA)) == "invalid"
    assert await refusal(by_secret, hmac_token(secret="another secret of at least 32 bytes!")) == "invalid"


async def test_a_key_in_the_header_is_not_believed(by_rsa: Tokens) -> None:
    header = {"jwk": {"kty": "oct", "k": "AAAA"}, "jku": "https://evil.example/keys", "x5u": "https://evil.example/x5"}
    assert await refusal(by_rsa, jwt.encode(claims(), OTHER_RSA, "RS256", headers=header)) == "invalid"


@pytest.mark.parametrize("place", [0, 1, 2])
async def test_one_changed_character_spoils_a_token(by_rsa: Tokens, place: int) -> None:
    parts = token().split(".")
    middle = len(parts[place]) // 2
    parts[place] = parts[place][:middle] + ("A" if parts[place][middle] != "A" else "B") + parts[place][middle + 1 :]
    assert await refusal(by_rsa, ".".join(parts)) == "invalid"


@pytest.mark.parametrize(
    "text",
    ["", ".", "..", "...", "a.b.c", "null", "{}", "eyJ", "eyJhbGciOiJSUzI1NiJ9..", "=.=.=", "\0.\0.\0", "a b.c.d"],
)
async def test_what_is_no_token_is_refused(by_rsa: Tokens, text: str) -> None:
    assert await refusal(by_rsa, text) == "invalid"


@pytest.mark.parametrize("part", [b"[" * 6000, b'{"a":' * 1500, b"\xff\xfe", b"7" * 6000])
async def test_json_made_to_break_a_parser_is_refused(by_rsa: Tokens, part: bytes) -> None:
    assert await refusal(by_rsa, forged(part, claims(), b"k")) == "invalid"
    assert await refusal(by_rsa, forged({"alg": "RS256"}, part, b"k")) == "invalid"
    by_secret = taker(secret_key(SECRET, ["HS256"]), "HS256")
    assert await refusal(by_secret, forged({"alg": "HS256"}, part, SECRET.encode())) == "invalid"


@given(text=st.text(st.characters(codec="ascii"), max_size=300))
def test_no_text_at_all_lets_anyone_in(text: str) -> None:
    tokens = taker(secret_key(SECRET, ["HS256"]), "HS256")
    assert asyncio.run(refusal(tokens, text)) == "invalid"


async def test_a_verified_token_is_not_verified_again(by_rsa: Tokens, monkeypatch: pytest.MonkeyPatch) -> None:
    text = token()
    first = await by_rsa.verify(text)
    monkeypatch.setattr(jwt, "decode", None)
    assert await by_rsa.verify(text) is first


async def test_a_remembered_token_expires_all_the_same(by_rsa: Tokens, monkeypatch: pytest.MonkeyPatch) -> None:
    now = time.time()
    text = token(claims(exp=now + 60))
    await by_rsa.verify(text)
    monkeypatch.setattr(module, "time", SimpleNamespace(time=lambda: now + 60 + LEEWAY_SECONDS + 1))
    assert await refusal(by_rsa, text) == "expired"


async def test_remembered_tokens_are_forgotten_when_a_key_is_taken_away() -> None:
    keys = public_key(pem(RSA), ["RS256"])
    tokens = taker(keys, "RS256")
    text = token()
    await tokens.verify(text)
    keys.key = public_key(pem(OTHER_RSA), ["RS256"]).key
    keys.version += 1
    assert await refusal(tokens, text) == "invalid"


async def test_no_more_tokens_are_remembered_than_there_is_room_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "REMEMBERED", 3)
    tokens = taker(secret_key(SECRET, ["HS256"]), "HS256")
    for number in range(5):
        await tokens.verify(hmac_token(claims(sub=f"user-{number}")))
    assert [principal.user for _, principal in tokens.verified.values()] == ["jwt:user-2", "jwt:user-3", "jwt:user-4"]


async def test_refused_tokens_are_not_remembered(by_secret: Tokens) -> None:
    await refusal(by_secret, "a.b.c")
    assert not by_secret.verified


def test_nothing_secret_is_in_a_repr() -> None:
    keys = secret_key(SECRET, ["HS256"])
    shown: Mapping[str, str] = {"keys": repr(keys), "key": repr(keys.key), "tokens": repr(taker(keys, "HS256"))}
    assert not any(SECRET in text for text in shown.values())
    assert isinstance(keys, OneKey)
