"""What the arguments of a tool have to keep to, beside their schema.

`Under` for paths, `Url` for addresses, `Programs` for command lines, `ReadOnlySql` for queries; or any object with
`check(value)`.
"""

from typing import TYPE_CHECKING, Any

from app.tools.rules.programs import Programs
from app.tools.rules.rule import ArgumentRule
from app.tools.rules.under import Under
from app.tools.rules.urls import Url

if TYPE_CHECKING:
    from app.tools.rules.read_only_sql import ReadOnlySql

__all__ = ["ArgumentRule", "Programs", "ReadOnlySql", "Under", "Url"]


def __getattr__(name: str) -> Any:
    if name == "ReadOnlySql":  # takes sqlglot, half a second of the start
        from app.tools.rules.read_only_sql import ReadOnlySql

        return ReadOnlySql
    raise AttributeError(name)
