"""What `AUTH` selects, and the settings that it needs."""

from pathlib import Path
from typing import Any

import pytest

from app.access.api_keys import new_secret
from app.access.identity import Identity, build_identity
from app.access.jwks import Jwks
from app.errors import ConfigurationError, Unauthorized
from app.settings import load
from tests.access.issuer import AUDIENCE, ISSUER, RSA, SECRET, hmac_token, pem, token
from tests.access.keys import KEY, line
from tests.logged import capture_logs

JWT: dict[str, Any] = {"auth": "jwt", "jwt_issuer": ISSUER, "jwt_audience": AUDIENCE}
BY_SECRET: dict[str, Any] = {**JWT, "jwt_algorithms": "HS256", "jwt_secret": SECRET}


@pytest.fixture
def keys_file(tmp_path: Path) -> Path:
    file = tmp_path / "keys.jsonl"
    file.write_text(line())
    return file


def identity(**settings: Any) -> Identity:
    return build_identity(load(None, **settings))


async def test_nobody_is_asked_by_default_and_the_log_says_so() -> None:
    with capture_logs() as logs:
        assert identity().everyone
    assert [(entry["event"], entry["log_level"]) for entry in logs] == [("auth.none", "warning")]


def test_credentials_that_nobody_asks_for_are_told(keys_file: Path) -> None:
    with capture_logs() as logs:
        identity(api_keys_file=keys_file, jwt_secret=SECRET)
        identity(**BY_SECRET)
    unused = [entry for entry in logs if entry["event"] == "auth.unused"]
    assert [(entry["settings"], entry["log_level"]) for entry in unused] == [
        (["API_KEYS_FILE", "JWT_SECRET"], "warning")
    ]
    assert SECRET not in repr(logs)


async def test_keys_and_tokens_are_told_apart(keys_file: Path) -> None:
    both = identity(**{**BY_SECRET, "auth": "api-key, jwt"}, api_keys_file=keys_file)
    assert not both.everyone
    assert (await both.of(KEY)).user == "ada"
    assert (await both.of(hmac_token())).user == "jwt:ada"


async def test_what_is_not_selected_is_refused(keys_file: Path) -> None:
    for chosen, credential in (
        (identity(auth="api-key", api_keys_file=keys_file), hmac_token()),
        (identity(**BY_SECRET), KEY),
        (identity(auth="api-key", api_keys_file=keys_file), new_secret()),
    ):
        with pytest.raises(Unauthorized):
            await chosen.of(credential)


async def test_a_public_key_and_a_key_set_can_be_chosen() -> None:
    assert (await identity(**JWT, jwt_public_key=pem(RSA)).of(token())).user == "jwt:ada"
    tokens = identity(**JWT, jwt_jwks_url="https://issuer.example/keys")._tokens
    assert tokens is not None
    assert isinstance(tokens.keys, Jwks)


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"auth": ""}, "AUTH"),
        ({"auth": "basic"}, "AUTH"),
        ({"auth": "none,jwt"}, "AUTH"),
        ({"auth": "JWT"}, "AUTH"),
        ({"auth": "api-key"}, "API_KEYS_FILE"),
        ({"auth": "jwt"}, "JWT_ISSUER"),
        ({"auth": "jwt", "jwt_issuer": ISSUER}, "JWT_AUDIENCE"),
        ({"auth": "jwt", "jwt_audience": AUDIENCE, "jwt_issuer": ""}, "JWT_ISSUER"),
        (JWT, "JWT_SECRET, JWT_PUBLIC_KEY, JWT_JWKS_URL"),
        ({**BY_SECRET, "jwt_public_key": pem(RSA)}, "JWT_SECRET, JWT_PUBLIC_KEY, JWT_JWKS_URL"),
        ({**BY_SECRET, "jwt_jwks_url": "https://issuer.example/keys"}, "JWT_SECRET, JWT_PUBLIC_KEY, JWT_JWKS_URL"),
        ({**BY_SECRET, "jwt_secret": ""}, "JWT_SECRET, JWT_PUBLIC_KEY, JWT_JWKS_URL"),
        ({**BY_SECRET, "jwt_secret": "short"}, "JWT_SECRET"),
        ({**BY_SECRET, "jwt_algorithms": "RS256"}, "JWT_SECRET"),
        ({**BY_SECRET, "jwt_algorithms": "HS256,RS256"}, "JWT_ALGORITHMS"),
        ({**BY_SECRET, "jwt_algorithms": "none"}, "JWT_ALGORITHMS"),
        ({**BY_SECRET, "jwt_algorithms": ""}, "JWT_ALGORITHMS"),
        ({**JWT, "jwt_public_key": pem(RSA), "jwt_algorithms": "HS256"}, "JWT_PUBLIC_KEY"),
        ({**JWT, "jwt_public_key": "nowhere.pem"}, "JWT_PUBLIC_KEY"),
        ({**JWT, "jwt_jwks_url": "https://issuer.example/keys", "jwt_algorithms": "HS256"}, "JWT_ALGORITHMS"),
        ({**JWT, "jwt_jwks_url": "http://issuer.example/keys"}, "JWT_JWKS_URL"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_settings_that_contradict_each_other_stop_the_start(settings: dict[str, Any], named: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        identity(**settings)
    assert str(caught.value).startswith(f"{named}: ")
    assert SECRET not in str(caught.value)


def test_secrets_are_in_no_settings_repr() -> None:
    assert SECRET not in repr(load(None, **BY_SECRET))
