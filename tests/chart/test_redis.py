"""How the pods reach Redis, and its certificate."""

from typing import Any

import pytest

from tests.chart.conftest import Render, RenderError
from tests.chart.reading import mount, volume

CA = {"tls": {"existingSecret": "redis-ca"}}


def test_without_an_authority_of_ones_own_nothing_is_mounted(render: Render) -> None:
    rendered = render(redis={"url": "rediss://valkey.example:6380/0"})
    assert "REDIS_CA_FILE" not in rendered.settings()
    assert volume(rendered, "redis-ca") is None


@pytest.mark.parametrize("address", [{"url": "rediss://valkey"}, {"existingSecret": "redis"}], ids=["url", "secret"])
def test_the_authority_s_certificate_is_mounted_and_named(render: Render, address: dict[str, str]) -> None:
    tls = {"existingSecret": "redis-ca", "existingSecretKey": "root.pem"}
    rendered = render(redis={**address, "tls": tls})
    mounted, secret = mount(rendered, "redis-ca"), volume(rendered, "redis-ca")["secret"]
    assert str(rendered.read().redis_ca_file) == f"{mounted['mountPath']}/root.pem"
    assert mounted["readOnly"] is True
    assert secret["secretName"] == "redis-ca"
    assert secret["items"] == [{"key": "root.pem", "path": "root.pem"}]
    assert secret["defaultMode"] == 0o444


@pytest.mark.parametrize(
    ("redis", "sentence"),
    [
        ({"url": "redis://a", "existingSecret": "b"}, "redis.existingSecret and redis.url are both set"),
        ({"url": "redis://a", **CA}, "redis.url is not a rediss:// address"),
        (CA, "redis.tls.existingSecret is set, but there is no Redis"),
    ],
)
def test_what_contradicts_itself_is_refused(render: Render, redis: dict[str, Any], sentence: str) -> None:
    with pytest.raises(RenderError) as refused:
        render(redis=redis)
    assert sentence in str(refused.value)


def test_the_port_of_the_address_is_open(render: Render) -> None:
    policy = render(redis={"url": "rediss://:p%40ss@valkey.example:6380/0", **CA}).one("NetworkPolicy")
    ports = [port["port"] for rule in policy["spec"]["egress"] for port in rule["ports"]]
    assert ports == [53, 53, 6380]
