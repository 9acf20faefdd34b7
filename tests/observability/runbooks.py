"""The runbooks by the alert that each is about."""

import re

from tests.observability.conftest import ROOT

TEXT = (ROOT / "docs" / "runbooks.md").read_text()
PARTS = ("Meaning", "Impact", "Diagnosis", "Mitigation")


def chapters() -> dict[str, str]:
    _, *found = re.split(r"^## (\w+)$", TEXT, flags=re.MULTILINE)
    return dict(zip(found[::2], found[1::2], strict=True))


def queries() -> list[tuple[str, str]]:
    """Each query with its alert: a line of a block of PromQL is one."""
    return [
        (alert, line)
        for alert, text in chapters().items()
        for block in re.findall(r"```promql\n(.*?)```", text, re.DOTALL)
        for line in block.splitlines()
    ]
