"""How the address of a store is read."""

import pytest

from app.state.address import Address, parse


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("redis://", Address()),
        ("redis://valkey.platform:6380/2", Address(host="valkey.platform", port=6380, db=2)),
        ("redis://h?db=3", Address(host="h", db=3)),
        ("redis://:p%40ss@h", Address(host="h", password="p@ss")),
        ("redis://ada:secret@[::1]:7", Address(host="::1", port=7, username="ada", password="secret")),
        ("rediss://h?ssl_ca_certs=%2Fca.pem", Address(host="h", tls=True, ssl_ca_certs="/ca.pem")),
        ("rediss://h?ssl_cert_reqs=none", Address(host="h", tls=True, ssl_cert_reqs="none")),
        ("unix:///run/redis.sock?db=1", Address(path="/run/redis.sock", db=1)),
    ],
)
def test_an_address_is_read(url: str, address: Address) -> None:
    assert parse(url) == address


@pytest.mark.parametrize(
    "url",
    [
        "redis://ada:secret@h:port",
        "redis://ada:secret@h/first",
        "redis://ada:secret@h?ssl_cert_reqs=maybe",
        "redis://ada:secret@h?protocol=3",
        "redis://ada:secret@[h",
        "redis://ada:secret/more@h",
        "redis://ada:secret#more@h",
        "redis://ada:secret?more@h",
        "redis://ada:secret\uff20more@h",
        "redis://ada:secret@h:65536",
        "redis://ada:secret@h:0",
        "redis://ada:secret@h..x",
        "redis://ada:secret@h x",
        "redis://ada:secret@h/0#x",
        "unix://",
        "unix:///",
    ],
)
def test_what_cannot_be_meant_is_refused_without_the_password(url: str) -> None:
    with pytest.raises(ValueError, match=r"\w") as refused:
        parse(url)
    assert "secret" not in str(refused.value)
