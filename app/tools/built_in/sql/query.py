"""`sql_query`: one SELECT on SQL_QUERY_URL. The rule is in front; a connection that cannot write is behind it."""

from typing import Annotated

from pydantic import Field

from app.errors import ConfigurationError
from app.settings import Settings
from app.tools.built_in.sql.database import Database, Rows
from app.tools.rules.read_only_sql import MAX_CHARS, ReadOnlySql
from app.tools.tool import Tool, make_tool


def sql_query_tool(settings: Settings) -> Tool:
    """Raises ConfigurationError for an address of no database that can be asked."""
    database = _database(settings)
    rule = ReadOnlySql(database.dialect)

    async def sql_query(
        query: Annotated[str, Field(description="One SELECT statement", max_length=MAX_CHARS)],
    ) -> Rows:
        return await database.read(rule.rendered(query))

    sql_query.__doc__ = f"Ask a {database.name} database by one SELECT. {database.hint}"
    seconds = settings.sql_query_seconds + 6  # the database's own deadline, and that of a connection, come first
    return make_tool(sql_query, timeout_seconds=seconds, max_output_chars=20_000, effect="read", rules={"query": rule})


def _database(settings: Settings) -> Database:
    url = settings.sql_query_url.get_secret_value().strip() if settings.sql_query_url else ""
    if url.startswith(("postgresql://", "postgres://")):
        from app.tools.built_in.sql.postgres import Postgres

        return Postgres(url, settings.sql_query_rows, settings.sql_query_seconds)
    if url.startswith("sqlite:///"):
        from app.tools.built_in.sql.sqlite import Sqlite

        return Sqlite(url.removeprefix("sqlite:///"), settings.sql_query_rows, settings.sql_query_seconds)
    raise ConfigurationError("SQL_QUERY_URL: is not a postgresql:// or sqlite:/// address")
