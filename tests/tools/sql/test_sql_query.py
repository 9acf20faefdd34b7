"""`sql_query` on real databases: what is sent means what was asked, nothing is written, nothing runs for long."""

import asyncio
import json
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, nullcontext
from pathlib import Path
from typing import Any

import psycopg
import pytest

from app.errors import ConfigurationError
from app.messages import ToolCall
from app.settings import load
from app.telemetry.traces import Tracing
from app.tools import ToolContext, ToolError
from app.tools.built_in.sql.postgres import Postgres
from app.tools.built_in.sql.query import sql_query_tool
from app.tools.built_in.sql.sqlite import Sqlite
from app.tools.call import call_tool
from app.tools.registry import Registry
from app.tools.result import ToolResult
from app.tools.rules import ReadOnlySql
from tests.doubles import ADA
from tests.postgres_server import INITDB, MISSING, PostgresServer
from tests.tools.sql import corpus
from tests.tools.sql.test_read_only_sql import ATTACKS, BENIGN

needs_postgres = pytest.mark.skipif(INITDB is None, reason=MISSING)
UNBOUNDED = " CROSS JOIN ".join(f"items AS i{number}" for number in range(16))


@pytest.fixture(scope="module")
def postgres() -> Iterator[str]:
    """The address of a database, as a user who may only read."""
    server = PostgresServer()
    server.start()
    with psycopg.connect(server.url) as connection:
        connection.execute(corpus.SCHEMA.encode())
        connection.execute("CREATE ROLE reader LOGIN; GRANT SELECT ON ALL TABLES IN SCHEMA public TO reader")
        connection.execute("CREATE TABLE salaries (amount integer)")
    yield server.url.replace("agent@", "reader@")
    server.remove()


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sqlite") / "shop.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(corpus.SCHEMA)
    return path


async def ask(url: str, query: str, **settings: Any) -> ToolResult:
    tool = sql_query_tool(load(None, sql_query_url=url, **settings))
    call = ToolCall("1", "sql_query", {"query": query})
    return await call_tool(
        Registry([tool]), ToolContext(ADA, "a-run"), call, slot=lambda _: nullcontext(), tracing=Tracing(None)
    )


def plain(rows: Any) -> Any:
    """As the tool tells them."""
    return json.loads(json.dumps(rows, default=str))


@needs_postgres
async def test_on_postgres_what_is_sent_means_what_was_asked(postgres: str) -> None:
    rule = ReadOnlySql("postgres")
    async with await psycopg.AsyncConnection.connect(postgres, autocommit=True) as connection:
        for query in BENIGN["postgres"]:
            asked = await (await connection.execute(query.encode())).fetchall()
            sent = await (await connection.execute(rule.rendered(query).encode())).fetchall()
            assert sent == asked, query


async def test_on_sqlite_what_is_sent_means_what_was_asked(file: Path) -> None:
    rule, database = ReadOnlySql("sqlite"), Sqlite(str(file), 100, 5)
    with closing(sqlite3.connect(file)) as connection:
        for query in BENIGN["sqlite"]:
            if query.startswith("(") or "ANY" in query:  # no SQL of SQLite's
                continue
            asked = [list(row) for row in connection.execute(query)]
            assert (await database.read(rule.rendered(query)))["rows"] == asked, query


@needs_postgres
async def test_rows_of_postgres_have_their_columns(postgres: str) -> None:
    found = await ask(postgres, "SELECT id, total, placed, status AS id FROM orders ORDER BY orders.id LIMIT 1")
    assert found.result == {
        "columns": ["id", "total", "placed", "id"],
        "rows": [[1, 10.5, "2026-01-05T10:00:00", "paid"]],
        "more": False,
    }
    assert (await ask(postgres, "SELECT id FROM orders ORDER BY id", sql_query_rows=2)).result == {
        "columns": ["id"],
        "rows": [[1], [2]],
        "more": True,
    }
    assert (await ask(postgres, "SELECT id AS _row FROM orders WHERE false")).result["rows"] == []


@needs_postgres
async def test_numbers_of_postgres_keep_their_digits(postgres: str) -> None:
    found = await ask(postgres, "SELECT 0.1234567890123456789, 12345678901234567890, CAST('NaN' AS double precision)")
    assert found.result["rows"] == [["0.1234567890123456789", 12345678901234567890, "NaN"]]


async def test_rows_of_sqlite_have_their_columns(file: Path) -> None:
    found = await ask(f"sqlite:///{file}", "SELECT id, status FROM orders ORDER BY id", sql_query_rows=1)
    assert found.result == {"columns": ["id", "status"], "rows": [[1, "paid"]], "more": True}


@needs_postgres
async def test_what_the_rule_refuses_is_not_asked(postgres: str) -> None:
    result = await ask(postgres, "SELECT pg_sleep(1)")
    assert (result.status, result.fault) == ("error", "argument_rule")
    assert "query: calls pg_sleep()" in result.content


async def everything(connection: Any) -> list[Any]:
    return [await (await connection.execute(f"TABLE {name}")).fetchall() for name in ("customers", "orders", "items")]


@needs_postgres
async def test_behind_the_rule_the_connection_to_postgres_writes_nothing(postgres: str) -> None:
    """Here as the superuser: the user is not what holds."""
    superuser = postgres.replace("reader@", "agent@")
    database = Postgres(superuser, 10, 1)
    writing = [q for q in ATTACKS["postgres"] if any(word in q for word in ("INSERT", "UPDATE", "DELETE", "DROP"))]
    async with await psycopg.AsyncConnection.connect(superuser, autocommit=True) as connection:
        before = await everything(connection)
        for query in writing:
            try:
                await database.read(query)
            except ToolError:
                continue
        assert await everything(connection) == before
    assert len(writing) > 20


def content(*files: Path) -> list[bytes]:
    """Of those that there are."""
    return [file.read_bytes() for file in files if file.exists()]


async def test_behind_the_rule_the_connection_to_sqlite_does_nothing_else(file: Path) -> None:
    database, before = Sqlite(str(file), 10, 1), content(file)
    told: list[Any] = []
    for query in ATTACKS["sqlite"]:
        try:
            told += (await database.read(query))["rows"]
        except (ToolError, ValueError):  # a NUL
            continue
    assert len(str(told)) < 10_000
    for query in (
        "SELECT load_extension('x')",
        "SELECT zeroblob(1000000000)",
        "SELECT * FROM temp.x",
        "ATTACH '/tmp/x' AS x",
    ):
        with pytest.raises(ToolError):
            await database.read(query)
    assert content(file, Path("/tmp/x.db")) == before


@needs_postgres
async def test_a_long_query_to_postgres_is_stopped_there(postgres: str) -> None:
    result = await ask(postgres, f"SELECT count(*) FROM {UNBOUNDED}", sql_query_seconds=0.3)
    assert result.content == "The query took longer than 0.3 seconds and was stopped."
    async with await psycopg.AsyncConnection.connect(postgres) as connection:
        found = await connection.execute("SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%CROSS JOIN%i15%'")
        assert await found.fetchone() == (1,)  # this one


async def test_a_long_query_to_sqlite_is_stopped(file: Path) -> None:
    result = await ask(f"sqlite:///{file}", f"SELECT count(*) FROM {UNBOUNDED}", sql_query_seconds=0.3)
    assert result.content == "The query took longer than 0.3 seconds and was stopped."


async def test_a_cancelled_query_to_sqlite_ends_with_its_caller(file: Path) -> None:
    database = Sqlite(str(file), 10, 60)
    asking = asyncio.create_task(database.read(f"SELECT count(*) FROM {UNBOUNDED}"))
    await asyncio.sleep(0.1)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    started = time.monotonic()
    await asyncio.to_thread(database._threads.shutdown)
    assert time.monotonic() - started < 20


async def test_slow_queries_to_sqlite_leave_the_services_other_threads_alone(file: Path) -> None:
    database, enough = Sqlite(str(file), 10, 60), asyncio.Event()
    asking = [asyncio.create_task(database.read(f"SELECT count(*) FROM {UNBOUNDED}")) for _ in range(40)]
    await asyncio.to_thread(enough.set)
    assert enough.is_set()
    assert not any(each.done() for each in asking)
    for each in asking:
        each.cancel()
    await asyncio.gather(*asking, return_exceptions=True)


@needs_postgres
async def test_nobody_calls_a_function_as_a_column_of_its_argument(postgres: str) -> None:
    """Not even as a superuser, behind whom no rights of the database stand."""
    superuser = postgres.replace("reader@", "agent@")
    found = await ask(superuser, "SELECT t.pg_read_file FROM unnest(ARRAY['/etc/passwd'::text]) AS t")
    assert (found.fault, "root" in found.content) == ("argument_rule", False)


LONG_ROW = f"SELECT {' || '.join(['name'] * 150)} FROM (SELECT '{'x' * 4_000}' AS name) AS t"


@needs_postgres
async def test_a_row_that_is_too_long_is_not_told(postgres: str, file: Path) -> None:
    for url in (postgres, f"sqlite:///{file}"):
        assert "A row has more than 100000 characters" in (await ask(url, LONG_ROW)).content


@needs_postgres
async def test_the_databases_words_reach_the_model(postgres: str, file: Path) -> None:
    assert 'relation "missing" does not exist' in (await ask(postgres, "SELECT * FROM missing")).content
    assert "no such table: missing" in (await ask(f"sqlite:///{file}", "SELECT * FROM missing")).content
    assert "permission denied" in (await ask(postgres, "SELECT * FROM salaries")).content


async def test_a_database_that_is_away_is_not_named() -> None:
    result = await ask("postgresql://ada:s3cret@127.0.0.1:1/shop", "SELECT 1")
    assert (result.status, result.content) == ("error", "DatabaseUnavailable: The database cannot be reached.")


@pytest.mark.parametrize("url", ["mysql://a/b", "postgresql://a:port/b", "sqlite:////nowhere.db", "sqlite:///", "x"])
def test_an_address_that_cannot_be_meant_stops_the_start(url: str) -> None:
    with pytest.raises(ConfigurationError, match="SQL_QUERY_URL"):
        sql_query_tool(load(None, sql_query_url=url))
