"""MCP_SERVERS_FILE: the servers whose tools agents may have, and how their tools count."""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

from app.errors import ConfigurationError
from app.reloading import read_bounded
from app.settings import Settings
from app.tools.mcp.references import resolved
from app.tools.tool import Effect, Risk, WhenTainted
from app.urls import http_url

SETTING = "MCP_SERVERS_FILE"
_MAX_BYTES = 1024 * 1024
_NAME = re.compile(r"[A-Za-z0-9-]{1,24}")
_HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")

Seconds = Annotated[float, Meta(gt=0, le=3_600)]


class Choice(Struct, frozen=True, forbid_unknown_fields=True):
    """One tool's, where it differs from its server's."""

    risk: Risk | None = None
    effect: Effect | None = None
    when_tainted: WhenTainted | None = None
    timeout_seconds: Seconds | None = None


class McpServer(Struct, frozen=True, forbid_unknown_fields=True):
    """A server: with a `url` it is asked over streamable HTTP, with a `command` it is started here (stdio)."""

    name: str
    url: str = ""
    headers: dict[str, str] = {}
    """`${env:NAME}` and `${file:PATH}` in a value stand for what a variable, or a file, holds."""
    command: str = ""
    args: tuple[str, ...] = ()
    env: dict[str, str] = {}
    """All that the program's environment has, beside a PATH."""
    tools: dict[str, Choice] | None = None
    """The server's own names of those that agents may have; all that are pinned when left out."""
    risk: Risk = "medium"
    effect: Effect = "once"
    when_tainted: WhenTainted | None = None
    timeout_seconds: Seconds = 30.0
    max_output_chars: Annotated[int, Meta(ge=100, le=1_000_000)] = 10_000

    def allows(self, tool: str) -> bool:
        return self.tools is None or tool in self.tools

    def choice(self, tool: str) -> Choice:
        return (self.tools or {}).get(tool, Choice())

    def sent_headers(self) -> Mapping[str, str]:
        """With what they refer to. Raises ValueError and OSError."""
        return {name: resolved(value) for name, value in self.headers.items()}

    def process_environment(self) -> Mapping[str, str]:
        """Raises ValueError and OSError."""
        return {"PATH": os.defpath, **{name: resolved(value) for name, value in self.env.items()}}


class ServersFile(Struct, frozen=True, forbid_unknown_fields=True):
    servers: tuple[McpServer, ...]
    pins: str = ""
    """The file with the pins, from this one's folder; `NAME.pins.json` beside `NAME.yaml` when left out."""


def read_servers(path: Path, *, stdio: bool) -> ServersFile:
    """Raises ConfigurationError for a file that cannot be read or meant."""
    try:
        read = msgspec.yaml.decode(read_bounded(path, _MAX_BYTES), type=ServersFile)
        _check_names(read)
        for server in read.servers:
            _check(server, stdio=stdio)
    except OSError as error:
        raise ConfigurationError(f"{SETTING}: {path}: {error.strerror}") from None
    except msgspec.ValidationError as error:
        raise ConfigurationError(f"{SETTING}: {path}: {error}") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ConfigurationError(f"{SETTING}: {path}: is not YAML: {' '.join(str(error).split())}") from None
    except ValueError as error:
        raise ConfigurationError(f"{SETTING}: {path}: {error}") from None
    return read


def pins_path(path: Path, read: ServersFile) -> Path:
    return path.parent / (read.pins or f"{path.stem}.pins.json")


def servers_of(settings: Settings) -> tuple[ServersFile, Path]:
    """The servers, and the file with their pins. Raises ConfigurationError."""
    path = settings.mcp_servers_file
    if path is None:
        raise ConfigurationError(f"{SETTING}: is not set; it names the file with the MCP servers")
    read = read_servers(path, stdio=settings.mcp_stdio)
    return read, pins_path(path, read)


def _check_names(read: ServersFile) -> None:
    names = [server.name for server in read.servers]
    if repeated := {name for name in names if names.count(name) > 1}:
        raise ValueError(f"servers: two are called {', '.join(sorted(repeated))}")


def _check(server: McpServer, *, stdio: bool) -> None:
    where = f"servers: {server.name[:64]!r}"
    if not _NAME.fullmatch(server.name):
        raise ValueError(f"{where}: a name is 1 to 24 of the characters a-z A-Z 0-9 -")
    if bool(server.url) == bool(server.command):
        raise ValueError(f"{where}: has exactly one of `url` and `command`")
    kind: Literal["url", "command"] = "url" if server.url else "command"
    foreign = {"url": (server.args, server.env), "command": (server.headers,)}[kind]
    if any(foreign):
        raise ValueError(f"{where}: `headers` go with `url`; `args` and `env` with `command`")
    if server.command and not stdio:
        raise ValueError(f"{where}: has a `command`; programs are started with MCP_STDIO=true only")
    try:
        if server.url:
            http_url(server.url)
        _check_values(server)
    except OSError as error:
        raise ValueError(f"{where}: a file that a value refers to: {error.strerror}") from None
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from None


def _check_values(server: McpServer) -> None:
    for name, value in server.sent_headers().items():
        if not _HEADER.fullmatch(name) or not value.isascii() or not value.isprintable():
            raise ValueError(f"headers: {name[:64]!r}: is no header that can be sent")
    server.process_environment()
