"""A SQLite file, opened to be read, with nothing allowed but reading."""

import asyncio
import sqlite3
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from threading import Event
from typing import Any
from urllib.parse import quote

from app.errors import ConfigurationError
from app.tools.built_in.sql.database import Rows, row_chars
from app.tools.rules.sql_allowed import Dialect
from app.tools.tool import ToolError

_LIMITS = {
    sqlite3.SQLITE_LIMIT_LENGTH: 1_000_000,
    sqlite3.SQLITE_LIMIT_SQL_LENGTH: 100_000,
    sqlite3.SQLITE_LIMIT_EXPR_DEPTH: 200,
    sqlite3.SQLITE_LIMIT_COMPOUND_SELECT: 100,
    sqlite3.SQLITE_LIMIT_ATTACHED: 0,
    sqlite3.SQLITE_LIMIT_LIKE_PATTERN_LENGTH: 200,
    sqlite3.SQLITE_LIMIT_WORKER_THREADS: 0,
}
_ALLOWED = frozenset({sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_FUNCTION})
_STEPS = 1_000  # of the database's machine, between two looks at the clock
MOST_AT_ONCE = 8
"""Queries of one process. They have threads of their own, so that slow ones do not hold up the service's other work."""


class Sqlite:
    dialect: Dialect = "sqlite"
    name = "SQLite"
    hint = "Tables are listed in sqlite_master, with the statements that made them."

    def __init__(self, path: str, rows: int, seconds: float) -> None:
        """Raises ConfigurationError."""
        if not Path(path).is_file():
            raise ConfigurationError("SQL_QUERY_URL: there is no such file; sqlite:////data/x.db is /data/x.db")
        self._uri = f"file:{quote(str(Path(path).absolute()))}?mode=ro"
        self._rows, self._seconds = rows, seconds
        self._threads = ThreadPoolExecutor(MOST_AT_ONCE, "sql-query")

    async def read(self, query: str) -> Rows:
        left = Event()
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, self._read, query, left)
        finally:
            left.set()

    def _read(self, query: str, left: Event) -> Rows:
        end = time.monotonic() + self._seconds
        try:
            with closing(sqlite3.connect(self._uri, uri=True, timeout=self._seconds)) as connection:
                _confine(connection)
                connection.set_progress_handler(lambda: left.is_set() or time.monotonic() > end, _STEPS)
                cursor = connection.execute(query)
                columns = [column[0] for column in cursor.description or ()]
                rows = list(_bounded(cursor, self._rows))
        except sqlite3.Error as error:
            if time.monotonic() > end:
                raise ToolError(f"The query took longer than {self._seconds:g} seconds and was stopped.") from None
            raise ToolError(f"The database refuses the query: {error}") from None
        return Rows(columns=columns, rows=rows[: self._rows], more=len(rows) > self._rows)


def _confine(connection: sqlite3.Connection) -> None:
    for limit, most in _LIMITS.items():
        connection.setlimit(limit, most)
    connection.execute("PRAGMA query_only = ON")
    connection.execute("PRAGMA trusted_schema = OFF")
    connection.execute("SELECT 1 FROM json_each('[]'), json_tree('[]')")  # declares them as tables, while it is allowed
    connection.set_authorizer(_authorize)


def _authorize(action: int, first: str | None, second: str | None, *_: Any) -> int:
    if action not in _ALLOWED or (action == sqlite3.SQLITE_FUNCTION and second == "load_extension"):
        return sqlite3.SQLITE_DENY
    return sqlite3.SQLITE_OK


def _bounded(cursor: sqlite3.Cursor, most: int) -> Iterator[list[Any]]:
    """One row more than may be told, if there is one. Raises ToolError for one that is too long."""
    chars = row_chars(most)
    for number, row in enumerate(cursor, 1):
        if sum(len(str(value)) for value in row) > chars:
            raise ToolError(f"A row has more than {chars} characters. Ask for fewer columns, or for parts of them.")
        yield list(row)
        if number > most:
            return
