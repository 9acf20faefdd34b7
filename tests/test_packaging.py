"""The package has all that the service reads beside its modules."""

import tomllib
from pathlib import Path

ROOT = Path(__file__).parent.parent


def test_every_file_beside_the_modules_is_part_of_the_package() -> None:
    patterns = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["package-data"]["app"]
    packed = {path for pattern in patterns for path in (ROOT / "app").glob(pattern)}
    there = {path for path in (ROOT / "app").rglob("*") if path.is_file() and path.suffix not in (".py", ".pyc")}
    assert there == packed
