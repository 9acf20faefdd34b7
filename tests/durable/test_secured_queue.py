"""A queue behind a password, a socket file or TLS: what its address says is what the client does."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from app.durable.engine import build_engine
from app.errors import StateUnavailable
from app.settings import load
from tests import redis_server
from tests.certificates import Authority
from tests.state.secured import SecuredServer

pytestmark = pytest.mark.skipif(redis_server.BINARY is None, reason=redis_server.MISSING)


async def hears(**settings: Any) -> bool:
    """Whether what rings there is heard there. Raises StateUnavailable."""
    engine, heard = build_engine(load(**settings)), asyncio.Event()

    async def handler(_: str) -> None:
        heard.set()

    try:
        await engine.ring("run_1")
        serving = asyncio.create_task(engine.serve(handler, most=1))
        async with asyncio.timeout(10):
            await heard.wait()
        serving.cancel()
        await asyncio.wait([serving])
        return True
    finally:
        await engine.close()


async def test_a_password_a_user_and_a_database(tmp_path: Path) -> None:
    with SecuredServer(tmp_path, "--requirepass", "s3 cret/", "--user", "ada", "on", ">pass", "+@all", "~*") as server:
        at = f"127.0.0.1:{server.port}"
        assert await hears(redis_url=f"redis://:s3%20cret%2F@{at}")
        assert await hears(redis_url=f"redis://ada:pass@{at}/3")
        with pytest.raises(StateUnavailable) as refused:
            await hears(redis_url=f"redis://:wrong@{at}")
        assert "wrong" not in str(refused.value)


async def test_a_socket_file(tmp_path: Path) -> None:
    with SecuredServer(tmp_path, on_path=True) as server:
        assert await hears(redis_url=f"unix://{server.path}")


async def test_tls_with_an_authority_of_ones_own(tmp_path: Path) -> None:
    authority = Authority(tmp_path, "ours")
    certificate, key = authority.issue("127.0.0.1")
    files = ("--tls-cert-file", str(certificate), "--tls-key-file", str(key), "--tls-auth-clients", "no")
    with SecuredServer(tmp_path, *files, "--tls-ca-cert-file", str(authority.certificate), tls=True) as server:
        url = f"rediss://127.0.0.1:{server.port}"
        assert await hears(redis_url=url, redis_ca_file=authority.certificate)
        assert await hears(redis_url="redis://elsewhere", run_queue_url=f"{url}?ssl_ca_certs={authority.certificate}")
        assert await hears(redis_url=f"{url}?ssl_cert_reqs=none")
        with pytest.raises(StateUnavailable):
            await hears(redis_url=url)
