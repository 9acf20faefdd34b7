"""Pins: the definitions of tools that a person has approved, in a file. Models are told of these and of no others."""

from collections.abc import Mapping
from pathlib import Path

import msgspec
from msgspec import Struct

from app.errors import ConfigurationError
from app.reloading import read_bounded
from app.tools.mcp.definition import Definition, problem_of
from app.tools.mcp.servers_file import SETTING

_MAX_BYTES = 16 * 1024 * 1024


class Pin(Struct, frozen=True):
    hash: str
    definition: Definition


class PinsFile(Struct, frozen=True):
    servers: dict[str, tuple[Pin, ...]]


Pins = Mapping[str, Mapping[str, Definition]]
"""By server, and by the server's own name of the tool."""


def read_pins(path: Path) -> Pins:
    """None where there is no file yet. Raises ConfigurationError for one that cannot be read or meant."""
    try:
        read = msgspec.json.decode(read_bounded(path, _MAX_BYTES), type=PinsFile)
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise ConfigurationError(f"{SETTING}: {path}: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise ConfigurationError(f"{SETTING}: {path}: {error}") from None
    for server, pins in read.servers.items():
        for pin in pins:
            _check(path, server, pin)
    return {server: {pin.definition.name: pin.definition for pin in pins} for server, pins in read.servers.items()}


def write_pins(path: Path, pins: Pins) -> None:
    """Raises OSError."""
    servers = {
        server: tuple([Pin(definition.digest, definition) for _, definition in sorted(definitions.items())])
        for server, definitions in sorted(pins.items())
    }
    text = msgspec.json.format(msgspec.json.encode(PinsFile(servers)), indent=2)
    path.write_bytes(text + b"\n")


def _check(path: Path, server: str, pin: Pin) -> None:
    if pin.definition.digest != pin.hash:
        problem = "is not what its hash says; pin it again: python -m app tools pin"
    elif (found := problem_of(pin.definition, server)) is not None:
        problem = found
    else:
        return
    raise ConfigurationError(f"{SETTING}: {path}: {server[:64]!r}: the tool {pin.definition.name[:64]!r}: {problem}")
