"""Certificates of a company's own authority: what is wrong with them is told, and a setting takes the careless ones."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from app.errors import ModelUnavailable
from app.models.anthropic import AnthropicModel
from app.models.http import Http
from app.models.openai import OpenAIModel
from app.prober import Check
from app.tls import client_context
from tests.state.secured import Authority, builder, named

Probe = Callable[[], Awaitable[object]]
ANSWER = b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 11\r\n\r\n{"data":[]}'


def careless(folder: Path) -> tuple[Path, Path, Path]:
    """An authority without a key usage, as many companies have one; and a server's certificate and key."""
    authority, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    root = (
        builder(named("careless"), named("careless"), authority)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(authority, hashes.SHA256())
    )
    leaf = (
        builder(named("localhost"), named("careless"), key)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(authority, hashes.SHA256())
    )
    paths = folder / "root.pem", folder / "leaf.pem", folder / "leaf.key"
    paths[0].write_bytes(root.public_bytes(Encoding.PEM))
    paths[1].write_bytes(leaf.public_bytes(Encoding.PEM))
    paths[2].write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return paths


def context(strict: bool, ca_file: Path) -> ssl.SSLContext:
    """As Python 3.13 makes it."""
    made = client_context(strict, str(ca_file))
    if strict:
        made.verify_flags |= ssl.VERIFY_X509_STRICT
    return made


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[tuple[str, Path]]:
    """The address of a server with a careless authority's certificate, and the authority's."""
    root, leaf, key = careless(tmp_path)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(leaf, key)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(ANSWER)
        await writer.drain()
        writer.close()

    listening = await asyncio.start_server(answer, "localhost", 0, ssl=tls)
    async with listening:
        yield f"https://localhost:{listening.sockets[0].getsockname()[1]}", root


def openai(url: str, tls: ssl.SSLContext) -> tuple[Probe, Callable[[], Awaitable[None]]]:
    http = Http(tls=tls)
    return OpenAIModel("m", f"{url}/v1", "key", http).probe, http.aclose


def anthropic(url: str, tls: ssl.SSLContext) -> tuple[Probe, Callable[[], Awaitable[None]]]:
    model = AnthropicModel("m", url, "key", tls=tls)
    return model.probe, model.aclose


PROVIDERS = [openai, anthropic]


@pytest.mark.parametrize("provider", PROVIDERS, ids=lambda one: one.__name__)
async def test_health_names_what_a_certificate_lacks_and_the_setting(
    server: tuple[str, Path], provider: Callable[..., tuple[Probe, Callable[[], Awaitable[None]]]]
) -> None:
    url, root = server
    probe, close = provider(url, context(True, root))
    with pytest.raises(ModelUnavailable) as refused:
        await probe()
    assert refused.value.reason == "certificate"
    seen = Check("m", probe)
    await seen.run()
    await close()
    assert seen.status == "down"
    assert seen.reason.startswith("certificate: ")
    assert seen.reason.endswith("; TLS_STRICT=false takes it")


@pytest.mark.parametrize("provider", PROVIDERS, ids=lambda one: one.__name__)
async def test_the_setting_takes_it(
    server: tuple[str, Path], provider: Callable[..., tuple[Probe, Callable[[], Awaitable[None]]]]
) -> None:
    url, root = server
    probe, close = provider(url, context(False, root))
    await probe()
    await close()


async def test_an_authority_that_nobody_knows_is_refused_all_the_same(server: tuple[str, Path], tmp_path: Path) -> None:
    url, _ = server
    other = Authority(tmp_path, "other").certificate
    probe, close = openai(url, context(False, other))
    with pytest.raises(ModelUnavailable) as refused:
        await probe()
    await close()
    assert refused.value.reason == "certificate"
    assert "TLS_STRICT" not in refused.value.cause
