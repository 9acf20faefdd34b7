"""A package of a user's own, as it is when it has been installed."""

from pathlib import Path


def write_package(
    folder: Path, name: str, source: str, *, group: str = "agent_api.tools", module: str = "", entry: str = ""
) -> Path:
    """Returns the folder for PYTHONPATH. The source's module, or what `entry` names in it, is an entry point."""
    module = module or f"{name}_tools"
    info = folder / f"{name}-1.0.dist-info"
    info.mkdir(parents=True)
    (folder / f"{module}.py").write_text(source)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[{group}]\n{name} = {entry or module}\n")
    return folder
