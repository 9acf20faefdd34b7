"""Which keys and algorithms a process starts with, and which keys of an issuer are usable."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from app import reloading
from app.access.jwt_keys import KeyFile, OneKey, check_algorithms, from_jwk, public_key, secret_key
from app.errors import ConfigurationError
from tests.access.issuer import EC, ED, OTHER_RSA, RSA, SECRET, jwk, pem, private_pem
from tests.logged import capture_logs


def refusal(call: Any, *arguments: Any) -> str:
    with pytest.raises(ConfigurationError) as caught:
        call(*arguments)
    return str(caught.value)


def test_algorithms_of_one_kind_are_taken() -> None:
    assert check_algorithms(["RS256", "ES256", "RS256"]) == ("RS256", "ES256")
    assert check_algorithms(["HS256", "HS512"]) == ("HS256", "HS512")


@pytest.mark.parametrize("names", [["HS256", "RS256"], ["ES256", "HS512"], ["EdDSA", "HS256"]])
def test_hmac_and_public_key_algorithms_are_never_mixed(names: list[str]) -> None:
    assert refusal(check_algorithms, names).startswith("JWT_ALGORITHMS: mixes")


@pytest.mark.parametrize("names", [[], ["none"], ["rs256"], ["RS256", "none"], ["HS1"]])
def test_an_unknown_algorithm_stops_the_start(names: list[str]) -> None:
    assert refusal(check_algorithms, names).startswith("JWT_ALGORITHMS:")


@pytest.mark.parametrize(("algorithm", "least"), [("HS256", 32), ("HS384", 48), ("HS512", 64)])
def test_a_secret_has_at_least_as_many_bytes_as_its_hash(algorithm: str, least: int) -> None:
    secret_key("s" * least, [algorithm])
    problem = refusal(secret_key, "s" * (least - 1), [algorithm])
    assert problem.startswith("JWT_SECRET:")
    assert "sss" not in problem


def test_a_public_key_is_no_secret() -> None:
    assert refusal(secret_key, pem(RSA), ["HS256"]).startswith("JWT_SECRET:")


def test_a_public_key_comes_as_pem_or_in_a_file(tmp_path: Path) -> None:
    file = tmp_path / "key.pem"
    file.write_text(pem(EC))
    assert public_key(str(file), ["ES256"]).key.algorithms == ("ES256",)
    assert public_key(pem(EC), ["ES256"]).key.algorithms == ("ES256",)
    assert public_key(pem(EC).replace("\n", "\\n"), ["ES256"]).key.algorithms == ("ES256",)


@pytest.mark.parametrize(
    ("text", "algorithms"),
    [
        (pem(RSA), ["ES256"]),
        (pem(RSA), ["RS256", "ES256"]),
        (pem(EC), ["RS256"]),
        (pem(EC), ["ES384"]),
        (pem(ED), ["ES256"]),
        (pem(rsa.generate_private_key(65537, 1024)), ["RS256"]),
        (SECRET, ["RS256"]),
        ("/nowhere/key.pem", ["RS256"]),
        ("/", ["RS256"]),
        ("\0", ["RS256"]),
        ("-----BEGIN PUBLIC KEY-----\nnonsense\n-----END PUBLIC KEY-----\n", ["RS256"]),
        ("-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n", ["RS256"]),
    ],
    ids=range(12),
)
def test_a_public_key_that_cannot_be_used_stops_the_start(text: str, algorithms: list[str]) -> None:
    assert refusal(public_key, text, algorithms).startswith("JWT_PUBLIC_KEY:")


def test_a_private_key_is_turned_away_and_not_repeated() -> None:
    problem = refusal(public_key, private_pem(RSA), ["RS256"])
    assert "holds a private key" in problem
    assert private_pem(RSA).splitlines()[1] not in problem


def test_an_issuers_key_serves_the_algorithms_that_fit_it() -> None:
    both = ("RS256", "PS256", "ES256", "ES384", "EdDSA")
    for key, usable in ((RSA, ("RS256", "PS256")), (EC, ("ES256",)), (ED, ("EdDSA",))):
        found = from_jwk(jwk(key), both)
        assert found is not None
        assert found.algorithms == usable
    named = from_jwk(jwk(RSA, alg="PS256", use="sig", key_ops=["verify"]), both)
    assert named is not None
    assert named.algorithms == ("PS256",)


def test_a_curve_that_is_not_the_first_algorithms_is_recognised() -> None:
    found = from_jwk(jwk(ec.generate_private_key(ec.SECP384R1())), ("ES256", "ES384"))
    assert found is not None
    assert found.algorithms == ("ES384",)


@pytest.mark.parametrize(
    "entry",
    [
        {"kty": "oct", "k": "c2VjcmV0IHNlY3JldCBzZWNyZXQgc2VjcmV0IHNlY3JldA"},
        {},
        {"kty": "RSA"},
        {"kty": 7},
        {"kty": "RSA", "n": 7, "e": 7},
        {"kty": "RSA", "n": "AQAB", "e": "AQAB"},
        {"kty": "RSA", "n": "!!", "e": "AQAB"},
        {"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"},
        {"kty": "EC", "crv": "P-999", "x": "AA", "y": "AA"},
        {"kty": "OKP", "crv": "X25519", "x": "AAAA"},
        jwk(RSA, use="enc"),
        jwk(RSA, alg="RSA-OAEP"),
        jwk(RSA, alg="HS256"),
        jwk(RSA, alg=None),
        jwk(RSA, key_ops=["encrypt"]),
        jwk(rsa.generate_private_key(65537, 1024)),
        {**jwk(RSA), "d": "AQAB"},
    ],
)
def test_an_issuers_key_that_is_not_for_public_signatures_is_passed_over(entry: dict[str, Any]) -> None:
    assert from_jwk(entry, ("RS256", "ES256", "EdDSA")) is None


def held(keys: OneKey) -> Any:
    return keys.key.key.public_numbers()


def test_a_key_file_that_changes_is_read_anew(tmp_path: Path) -> None:
    file = tmp_path / "key.pem"
    file.write_text(pem(RSA))
    keys = public_key(f"{file}\n", ["RS256"])
    assert isinstance(keys, KeyFile)
    before = keys.key
    keys.refresh()
    assert (keys.version, keys.holds(before)) == (0, True)
    file.write_text(pem(OTHER_RSA))
    keys.refresh()
    assert (keys.version, keys.holds(before)) == (1, False)
    assert held(keys) == OTHER_RSA.public_key().public_numbers()


@pytest.mark.parametrize(
    "spoil",
    [
        lambda file: file.write_text("no key"),
        lambda file: file.write_bytes(b"\xff"),
        lambda file: file.write_text(private_pem(RSA)),
        lambda file: file.write_text(pem(EC)),
        lambda file: file.unlink(),
        lambda file: file.write_text("x" * 100_000),
    ],
    ids=["text", "bytes", "private", "of another kind", "gone", "large"],
)
def test_a_key_file_that_cannot_be_used_any_more_keeps_the_key_and_says_so_once(tmp_path: Path, spoil: Any) -> None:
    file = tmp_path / "key.pem"
    file.write_text(pem(RSA))
    keys = public_key(str(file), ["RS256"])
    assert isinstance(keys, KeyFile)
    spoil(file)
    with capture_logs() as lines:
        keys.refresh()
        keys.refresh()
    assert [line["event"] for line in lines] == ["jwt_key.refused"]
    assert (keys.version, held(keys)) == (0, RSA.public_key().public_numbers())
    file.unlink(missing_ok=True)
    file.write_text(pem(OTHER_RSA))
    keys.refresh()
    assert held(keys) == OTHER_RSA.public_key().public_numbers()


async def test_a_key_file_is_watched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reloading, "CHECK_SECONDS", 0.01)
    file = tmp_path / "key.pem"
    file.write_text(pem(RSA))
    keys = public_key(str(file), ["RS256"])
    watching = asyncio.create_task(keys.watch())
    file.write_text(pem(OTHER_RSA))
    async with asyncio.timeout(5):
        while not keys.version:  # noqa: ASYNC110 - a file tells nobody
            await asyncio.sleep(0.01)
    watching.cancel()
    assert held(keys) == OTHER_RSA.public_key().public_numbers()


@pytest.mark.parametrize("path", ["/dev/zero", "/dev", "/nowhere"])
def test_what_is_no_file_stops_the_start(path: str) -> None:
    assert refusal(public_key, path, ["RS256"]).startswith("JWT_PUBLIC_KEY: ")
