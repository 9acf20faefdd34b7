"""A PostgreSQL database, asked in a transaction that is read-only and is rolled back."""

import asyncio
import json
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict

from app.errors import ConfigurationError
from app.tools.built_in.sql.database import DatabaseUnavailable, Rows, row_chars
from app.tools.rules.sql_allowed import Dialect
from app.tools.tool import ToolError

CONNECT_SECONDS = 5
MOST_DIGITS = 15
"""Of a number that keeps its value as a float."""


class Postgres:
    """One connection a query, so that none sees what another has left behind."""

    dialect: Dialect = "postgres"
    name = "PostgreSQL"
    hint = "Tables are listed in information_schema.tables, and their columns in information_schema.columns."

    def __init__(self, url: str, rows: int, seconds: float) -> None:
        """Raises ConfigurationError."""
        try:
            ports = str(conninfo_to_dict(url).get("port") or "5432").split(",")
        except psycopg.Error:
            ports = []
        if not ports or not all(port.isdecimal() and 0 < int(port) < 65_536 for port in ports):
            raise ConfigurationError("SQL_QUERY_URL: is no postgresql:// address that can be read")
        self._url, self._rows, self._seconds = url, rows, seconds

    async def read(self, query: str) -> Rows:
        try:
            connection = await psycopg.AsyncConnection.connect(
                self._url, connect_timeout=CONNECT_SECONDS, prepare_threshold=None
            )
        except psycopg.Error as error:
            raise DatabaseUnavailable("The database cannot be reached.") from error
        try:
            await connection.set_read_only(True)
            async with asyncio.timeout(self._seconds + 1):
                return await self._ask(connection, query)
        except (psycopg.errors.QueryCanceled, TimeoutError):
            raise ToolError(f"The query took longer than {self._seconds:g} seconds and was stopped.") from None
        except psycopg.OperationalError as error:
            if error.sqlstate is not None:
                raise ToolError(f"The database refuses the query: {error.diag.message_primary}") from None
            raise DatabaseUnavailable("The database broke the connection off.") from error
        except psycopg.Error as error:
            raise ToolError(f"The database refuses the query: {error.diag.message_primary}") from None
        finally:
            await connection.close()  # which rolls back

    async def _ask(self, connection: psycopg.AsyncConnection[Any], query: str) -> Rows:
        """Rows are made text, and cut, by the server: one of a gigabyte never comes here."""
        most, settings = row_chars(self._rows), {"statement_timeout": f"{round(self._seconds * 1000)}"}
        for name, value in {**settings, "standard_conforming_strings": "on"}.items():
            await connection.execute("SELECT set_config(%s, %s, true)", (name, value))
        wrapped = (
            f"SELECT left(row_to_json(_row_of_the_query)::text, {most + 1}) FROM ({query}) AS _row_of_the_query "  # noqa: S608
            f"LIMIT {self._rows + 1}"
        )
        found = await (await connection.execute(wrapped.encode())).fetchall()
        if any(len(row[0]) > most for row in found):
            raise ToolError(f"A row has more than {most} characters. Ask for fewer columns, or for parts of them.")
        pairs = [json.loads(row[0], object_pairs_hook=tuple, parse_float=_number) for row in found[: self._rows]]
        columns = [name for name, _ in pairs[0]] if pairs else []
        return Rows(columns=columns, rows=[[value for _, value in row] for row in pairs], more=len(found) > self._rows)


def _number(text: str) -> float | str:
    return float(text) if len(text) <= MOST_DIGITS else text
