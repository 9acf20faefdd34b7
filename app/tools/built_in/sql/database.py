"""A database that is only read."""

from collections.abc import Sequence
from typing import Any, Protocol, TypedDict

from app.tools.rules.sql_allowed import Dialect

MOST_BYTES = 16 * 1024 * 1024
"""Of an answer, about."""


class Rows(TypedDict):
    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]
    more: bool
    """There are others, which were not read."""


class Database(Protocol):
    dialect: Dialect
    name: str
    hint: str
    """For the model: where the names of tables are found."""

    async def read(self, query: str) -> Rows:
        """Raises ToolError for a query that the database refuses, and DatabaseUnavailable."""


class DatabaseUnavailable(Exception):
    """The database does not answer. Its own words may name it, and are in the log only."""


def row_chars(rows: int) -> int:
    """The longest that one of so many rows may be, as text."""
    return max(256, min(100_000, MOST_BYTES // rows))
