"""A package with tools of a user's own, as it is when it has been installed."""

from pathlib import Path


def write_package(folder: Path, name: str, source: str) -> Path:
    """Returns the folder for PYTHONPATH. The source's module is an entry point of `agent_api.tools`."""
    info = folder / f"{name}-1.0.dist-info"
    info.mkdir(parents=True)
    (folder / f"{name}_tools.py").write_text(source)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[agent_api.tools]\n{name} = {name}_tools\n")
    return folder
