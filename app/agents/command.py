"""`python -m app agents check`: would the service start with the files of AGENTS_DIR? `schema`: what they take."""

import json
import sys
from argparse import Namespace
from pathlib import Path
from typing import Any

from app.agents.agent_file import json_schema
from app.agents.catalog import default_agent, read_agents, tools_of
from app.errors import ConfigurationError
from app.models.catalog import build_models
from app.models.router import build_router
from app.models.tiers import AUTO
from app.settings import load
from app.tools import registry


def add_to(commands: Any) -> None:
    """Add `agents` to the command line's commands."""
    agents = commands.add_parser("agents", help="look after the files of AGENTS_DIR").add_subparsers(required=True)
    check = agents.add_parser("check", help="read the files as the service would, and say what is wrong with them")
    check.add_argument("folder", nargs="?", type=Path, help="the folder; AGENTS_DIR when left out")
    check.set_defaults(run=_check_and_tell)
    schema = agents.add_parser("schema", help="print the JSON schema of an agent's file")
    schema.set_defaults(run=_print_schema)


def _print_schema(_: Namespace) -> int:
    print(json.dumps(json_schema(), indent=2))  # noqa: T201
    return 0


def _check_and_tell(options: Namespace) -> int:
    try:
        return _check(options.folder)
    except ConfigurationError as error:
        print(error, file=sys.stderr)  # noqa: T201
        return 2


def _check(folder: Path | None) -> int:
    settings = load()
    folder = folder or settings.agents_dir
    if folder is None:
        raise ConfigurationError("AGENTS_DIR: is not set; name a folder: python -m app agents check FOLDER")
    built = build_models(settings)
    models = frozenset(built) if build_router(settings, built) is None else frozenset([*built, AUTO])
    tools = tuple(registry.load(settings, registry.mcp_servers(settings)))
    default = default_agent(settings, tools_of(settings, tools))
    try:
        agents = read_agents(folder, default, models, tools)
    except OSError as error:
        raise ConfigurationError(f"{folder}: {error.strerror}") from None
    except ValueError as error:
        raise ConfigurationError(f"{folder}: {error}") from None
    for agent in agents.values():
        models_of = ", ".join(agent.models) or "all models"
        print(f"{agent.name}: {models_of}; tools: {', '.join(agent.tools) or 'none'}")  # noqa: T201
    return 0
