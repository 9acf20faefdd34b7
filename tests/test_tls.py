"""Certificates of a company's own authority, in front of every client: trusted by SSL_CERT_FILE; what is wrong with
them is told, and TLS_STRICT=false takes the careless ones."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest

from app.access.jwks import Jwks
from app.models.catalog import build_models
from app.settings import load
from app.state.redis import connect
from app.telemetry.prober import Prober
from tests.access.issuer import RSA, jwk, key_set
from tests.certificates import Authority, Files, careless
from tests.conftest import Serve
from tests.logged import capture_logs
from tests.redis_server import BINARY, MISSING
from tests.state.secured import SecuredServer

MODELS = ("ollama/m", "openai/m", "anthropic/m")
MEND = "; TLS_STRICT=false takes it"


@asynccontextmanager
async def https(files: Files, body: bytes = b"{}") -> AsyncIterator[str]:
    """The address of a server that answers everything with `body`."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\nConnection: close"
        writer.write(f"{head}\r\n\r\n".encode() + body)
        await writer.drain()
        writer.close()

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*files[1:])
    async with await asyncio.start_server(answer, "localhost", 0, ssl=context) as server:
        yield f"https://localhost:{server.sockets[0].getsockname()[1]}"


def trust(authority: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a process that starts with SSL_CERT_FILE under Python 3.13 does, also under an older one."""
    made = ssl.create_default_context

    def strict(*purpose: ssl.Purpose, cafile: str | Path | None = None) -> ssl.SSLContext:
        context = made(*purpose, cafile=cafile)
        context.verify_flags |= ssl.VERIFY_X509_STRICT
        return context

    monkeypatch.setenv("SSL_CERT_FILE", str(authority))
    monkeypatch.setattr(ssl, "create_default_context", strict)
    monkeypatch.setattr(aiohttp.connector, "_SSL_CONTEXT_VERIFIED", strict())


@pytest.fixture
def lax(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Files:
    files = careless(tmp_path)
    trust(files[0], monkeypatch)
    return files


def careful(folder: Path) -> Files:
    authority = Authority(folder, "ours")
    return (authority.certificate, *authority.issue("localhost"))


async def health_of(url: str, *, strict: bool) -> dict[str, tuple[str, str | None]]:
    """State and reason of a model of each provider at the address, after one look."""
    settings = load(
        None,
        models=",".join(MODELS),
        ollama_api_base=url,
        openai_base_url=f"{url}/v1",
        anthropic_base_url=url,
        anthropic_api_key="key",
        unknown_price="allow",
        tls_strict=strict,
    )
    models = build_models(settings)
    prober = Prober({ref: priced.observed.model.probe for ref, priced in models.items()}, None)
    await looked(prober, lambda: all(one["status"] != "unknown" for one in prober.models().values()))
    await models.aclose()
    return {ref: (one["status"], one["reason"]) for ref, one in prober.models().items()}


async def looked(prober: Prober, enough: Callable[[], bool]) -> None:
    watching = asyncio.create_task(prober.watch())
    async with asyncio.timeout(10):
        while not enough():  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    watching.cancel()


async def test_models_are_refused_with_the_reason_or_taken_by_the_setting(lax: Files) -> None:
    async with https(lax) as url:
        for status, reason in (await health_of(url, strict=True)).values():
            assert status == "down"
            assert reason
            assert reason.startswith("certificate: ")
            assert reason.endswith(MEND)
        assert await health_of(url, strict=False) == dict.fromkeys(MODELS, ("up", None))


@pytest.mark.parametrize("strict", [True, False])
async def test_an_authority_of_ones_own_is_trusted_by_every_client(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, strict: bool
) -> None:
    files = careful(tmp_path)
    trust(files[0], monkeypatch)
    async with https(files) as url:
        assert await health_of(url, strict=strict) == dict.fromkeys(MODELS, ("up", None))


async def test_an_authority_that_nobody_knows_is_refused_all_the_same(tmp_path: Path, lax: Files) -> None:
    folder = tmp_path / "theirs"
    folder.mkdir()
    async with https(careful(folder)) as url:
        for status, reason in (await health_of(url, strict=False)).values():
            assert status == "down"
            assert reason
            assert reason.startswith("certificate: ")
            assert "TLS_STRICT" not in reason


async def test_a_certificate_of_another_host_is_told_without_the_host(lax: Files) -> None:
    async with https(lax) as url:
        for status, reason in (await health_of(url.replace("localhost", "127.0.0.1"), strict=False)).values():
            assert (status, reason) == ("down", "certificate: IP address mismatch")


async def test_the_keys_of_an_issuer(lax: Files) -> None:
    async with https(lax, key_set(jwk(RSA, "one"))) as url:
        with capture_logs() as lines:
            assert not await Jwks(url, ("RS256",)).refresh()
        [error] = [line["error"] for line in lines if line["event"] == "jwks.failed"]
        assert error.endswith(MEND)
        assert await Jwks(url, ("RS256",), tls_strict=False).refresh()


def redis(folder: Path, files: Files) -> SecuredServer:
    authority, certificate, key = files
    options = ("--tls-cert-file", certificate, "--tls-key-file", key, "--tls-ca-cert-file", authority)
    return SecuredServer(folder, *map(str, options), "--tls-auth-clients", "no", tls=True)


@pytest.mark.skipif(BINARY is None, reason=MISSING)
async def test_redis(tmp_path: Path, lax: Files) -> None:
    with redis(tmp_path, lax) as server:
        url = f"rediss://localhost:{server.port}"
        for ca_file in (None, lax[0]):
            refusing, taking = connect(url, ca_file), connect(url, ca_file, tls_strict=False)
            refused = await redis_seen(lambda: refusing.call("PING"))  # noqa: B023
            assert refused.redis() == "down"
            assert (refused.redis_reason() or "").endswith(MEND)
            taken = await redis_seen(lambda: taking.call("PING"))  # noqa: B023
            assert (taken.redis(), taken.redis_reason()) == ("up", None)
            await refusing.aclose()
            await taking.aclose()


async def redis_seen(probe: Callable[[], Awaitable[object]]) -> Prober:
    prober = Prober({}, probe)
    await looked(prober, lambda: prober.redis() != "unknown")
    return prober


@pytest.mark.skipif(BINARY is None, reason=MISSING)
def test_health_of_a_service_names_the_certificate_of_redis(serve: Serve, tmp_path: Path) -> None:
    """By an authority that every Python refuses, in a process that nothing was patched in."""
    files = careful(tmp_path)
    with redis(tmp_path, files) as server:
        url = f"rediss://localhost:{server.port}"
        refusing = serve(redis_url=url, ssl_cert_file=Authority(tmp_path, "theirs").certificate)
        refusing.wait_for_event("dependency", dependency="redis", status="down")
        checks = refusing.ask("GET", "/health").json()["checks"]
        assert checks["redis"] == "down"
        assert checks["redis_reason"].startswith("certificate: ")
        taking = serve(redis_url=url, ssl_cert_file=files[0])
        taking.wait_for_event("dependency", dependency="redis", status="up")
        assert "redis_reason" not in taking.ask("GET", "/health").json()["checks"]
