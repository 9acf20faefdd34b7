"""Servers that want to know who is there, or have to show who they are."""

from pathlib import Path

import pytest

from app.errors import ConfigurationError, StateUnavailable
from app.state.redis import connect
from tests.certificates import Authority
from tests.redis_server import BINARY, MISSING
from tests.state.secured import SecuredServer

pytestmark = pytest.mark.skipif(BINARY is None, reason=MISSING)


async def ping(url: str, ca_file: Path | None = None) -> object:
    store = connect(url, ca_file)
    try:
        return await store.call("PING")
    finally:
        await store.aclose()


async def refusal(url: str, ca_file: Path | None = None) -> BaseException | None:
    with pytest.raises(StateUnavailable) as caught:
        await ping(url, ca_file)
    return caught.value.__cause__


async def test_a_password_and_a_user(tmp_path: Path) -> None:
    with SecuredServer(tmp_path, "--requirepass", "s3 cret/", "--user", "ada", "on", ">pass", "+@all", "~*") as server:
        at = f"127.0.0.1:{server.port}"
        assert await ping(f"redis://:s3%20cret%2F@{at}") == b"PONG"
        assert await ping(f"redis://ada:pass@{at}/3") == b"PONG"
        assert "NOAUTH" in str(await refusal(f"redis://{at}"))
        assert "WRONGPASS" in str(await refusal(f"redis://:wrong@{at}"))
        assert "WRONGPASS" in str(await refusal(f"redis://eve:pass@{at}"))


async def test_a_wrong_password_leaves_no_connection_open(tmp_path: Path) -> None:
    with SecuredServer(tmp_path, "--requirepass", "secret") as server:
        for _ in range(3):
            await refusal(f"redis://:wrong@127.0.0.1:{server.port}")
        store = connect(f"redis://:secret@127.0.0.1:{server.port}")
        clients = await store.call("CLIENT", "LIST")
        assert len(clients.splitlines()) == 1
        await store.aclose()


async def test_databases_are_apart(tmp_path: Path) -> None:
    with SecuredServer(tmp_path) as server:
        url = f"redis://127.0.0.1:{server.port}"
        first, second = connect(f"{url}/1"), connect(f"{url}?db=2")
        await first.call("SET", "key", "first")
        assert await second.call("GET", "key") is None
        assert await first.call("GET", "key") == b"first"
        for store in (first, second):
            await store.aclose()
        assert "out of range" in str(await refusal(f"{url}/99"))


async def test_a_socket_file(tmp_path: Path) -> None:
    with SecuredServer(tmp_path, "--requirepass", "secret", on_path=True) as server:
        assert await ping(f"unix://:secret@{server.path}") == b"PONG"
        assert await ping(f"unix://:secret@{server.path}?db=1") == b"PONG"
    assert isinstance(await refusal(f"unix://{tmp_path}/nothing"), FileNotFoundError)


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path, "ours")


def tls(folder: Path, authority: Authority, host: str, clients: str = "no") -> SecuredServer:
    certificate, key = authority.issue(host)
    return SecuredServer(
        folder,
        *("--tls-cert-file", str(certificate), "--tls-key-file", str(key)),
        *("--tls-ca-cert-file", str(authority.certificate), "--tls-auth-clients", clients),
        tls=True,
    )


async def test_a_certificate_of_an_authority_of_ones_own(tmp_path: Path, authority: Authority) -> None:
    with tls(tmp_path, authority, "127.0.0.1") as server:
        url = f"rediss://127.0.0.1:{server.port}"
        assert await ping(f"{url}?ssl_ca_certs={authority.certificate}") == b"PONG"
        assert await ping(f"{url}?ssl_cert_reqs=none") == b"PONG"


async def test_the_authority_as_a_setting(tmp_path: Path, authority: Authority) -> None:
    other = Authority(tmp_path, "theirs")
    with tls(tmp_path, authority, "127.0.0.1") as server:
        url = f"rediss://127.0.0.1:{server.port}"
        assert await ping(url, authority.certificate) == b"PONG"
        assert "certificate verify failed" in str(await refusal(url, other.certificate))


@pytest.mark.parametrize(
    ("url", "content", "problem"),
    [
        ("redis://127.0.0.1", None, "REDIS_URL is not a rediss:// address"),
        (None, None, "REDIS_URL is not a rediss:// address"),
        ("rediss://127.0.0.1", None, "No such file"),
        ("rediss://127.0.0.1", "nothing of the kind", "is not a certificate in PEM"),
    ],
)
def test_an_authority_that_cannot_be_used_stops_the_start(
    tmp_path: Path, url: str | None, content: str | None, problem: str
) -> None:
    path = tmp_path / "ca.crt"
    if content is not None:
        path.write_text(content)
    with pytest.raises(ConfigurationError, match=f"^REDIS_CA_FILE: .*{problem}"):
        connect(url, path)


async def test_certificates_that_prove_nothing_are_refused(tmp_path: Path, authority: Authority) -> None:
    other = Authority(tmp_path, "theirs")
    with tls(tmp_path, authority, "redis.example") as server:
        url = f"rediss://127.0.0.1:{server.port}"
        assert "certificate verify failed" in str(await refusal(url))
        assert "certificate verify failed" in str(await refusal(f"{url}?ssl_ca_certs={other.certificate}"))
        assert "not valid for" in str(await refusal(f"{url}?ssl_ca_certs={authority.certificate}"))
        assert isinstance(await refusal(f"{url}?ssl_ca_certs={tmp_path}/nothing"), FileNotFoundError)
        assert isinstance(await refusal(f"redis://127.0.0.1:{server.port}"), OSError)


async def test_a_certificate_of_the_client(tmp_path: Path, authority: Authority) -> None:
    certificate, key = authority.issue("agent-api")
    with tls(tmp_path, authority, "127.0.0.1", clients="yes") as server:
        url = f"rediss://127.0.0.1:{server.port}?ssl_ca_certs={authority.certificate}"
        assert await ping(f"{url}&ssl_certfile={certificate}&ssl_keyfile={key}") == b"PONG"
        assert isinstance(await refusal(url), OSError)
