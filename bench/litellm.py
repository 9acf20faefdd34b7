"""LiteLLM's proxy as a peer, in an environment of its own under `bench/.cache`, made when it is asked for."""

import json
import os
import subprocess
import sys
import venv
from pathlib import Path

from bench.wire import MODELS

_HOME = Path(__file__).parent / ".cache" / "litellm"
_BIN = _HOME / "bin"


def install() -> str:
    """Makes the environment if there is none; returns LiteLLM's version."""
    if not (_BIN / "litellm").exists():
        print("litellm: installing litellm[proxy] from PyPI", file=sys.stderr)
        venv.create(_HOME, with_pip=True, clear=True)
        subprocess.run([_BIN / "python", "-m", "pip", "install", "-q", "litellm[proxy]"], check=True)
    code = "import importlib.metadata as m; print(m.version('litellm'))"
    done = subprocess.run([_BIN / "python", "-c", code], check=True, capture_output=True, text=True)
    return done.stdout.strip()


def command(directory: Path, upstream: str, port: int, key: str) -> tuple[list[str | Path], dict[str, str]]:
    """The command line and environment of one worker on `port`, its configuration in `directory`.

    It does not start without a key of its own, so callers send `key`.
    """
    models = [
        {
            "model_name": model,
            "litellm_params": {"model": f"openai/{model}", "api_base": f"{upstream}/v1", "api_key": "bench"},
        }
        for model in MODELS
    ]
    config = directory / "litellm.yaml"  # JSON is YAML
    config.write_text(json.dumps({"model_list": models, "litellm_settings": {"telemetry": False}}))
    argv: list[str | Path] = [_BIN / "litellm", "--config", config]
    argv += ["--host", "127.0.0.1", "--port", str(port), "--num_workers", "1", "--telemetry", "False"]
    env = {
        "PATH": f"{_BIN}:{os.environ.get('PATH', '')}",
        "HOME": str(directory),
        "LITELLM_MASTER_KEY": key,
        "LITELLM_MODE": "PRODUCTION",
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        "LITELLM_LOG": "ERROR",
    }
    return argv, env
