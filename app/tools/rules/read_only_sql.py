"""Queries that only read, of syntax and functions that are known to be harmless."""

import logging
from collections.abc import Collection, Iterator, Sequence

import sqlglot
from sqlglot import exp
from sqlglot.errors import ErrorLevel, SqlglotError

from app.tools.rules.rule import problem_with
from app.tools.rules.sql_allowed import (
    CATALOGS,
    FUNCTIONS,
    INFORMATION,
    NODES,
    QUERIES,
    SCHEMAS,
    SEARCHES,
    TYPES,
    Dialect,
)
from app.tools.rules.sql_bounds import check_sought, check_tokens
from app.tools.rules.sql_scope import check_columns, is_cte, is_keyword, name_of

logging.getLogger("sqlglot").setLevel(logging.CRITICAL)  # its warnings repeat queries

MAX_CHARS = 8_000


class ReadOnlySql:
    """One SELECT, of listed syntax, functions and types, from any tables but the database's own or from `tables` only.

    `rendered` is the query as it was understood: send that to the database, and what was checked is what is run.
    Beside this, the database's user should have no rights but to read.
    """

    def __init__(self, dialect: Dialect, tables: Collection[str] | None = None) -> None:
        """`tables` are names as `orders` or `sales.orders`. Raises TypeError for a dialect that is not known."""
        if dialect not in NODES:
            raise TypeError(f"ReadOnlySql knows {', '.join(NODES)}, not {dialect!r}")
        self.dialect = dialect
        self.tables = None if tables is None else frozenset([*tables, *[name.lower() for name in tables]])

    def check(self, value: object) -> str | None:
        return problem_with(value, self.rendered)

    def rendered(self, value: object) -> str:
        """Raises ValueError, which says what the query may not have."""
        try:
            query = self._parsed(value)
            nodes = list(_walked(query))
            for node in nodes:
                self._check_node(node)
            if self.dialect == "postgres":
                check_columns(nodes)
            return query.sql(dialect=self.dialect, comments=False, unsupported_level=ErrorLevel.RAISE)
        except (SqlglotError, RecursionError, AttributeError, TypeError, KeyError, IndexError):
            raise ValueError("cannot be read as SQL; write one plain SELECT") from None

    def _parsed(self, value: object) -> exp.Expr:
        if not isinstance(value, str) or len(value) > MAX_CHARS:
            raise ValueError(f"is no query of at most {MAX_CHARS} characters")
        if "\0" in value:
            raise ValueError("has a NUL character")
        check_tokens(sqlglot.tokenize(value, dialect=self.dialect))
        found = [query for query in sqlglot.parse(value, dialect=self.dialect) if query is not None]
        if len(found) != 1 or type(found[0]) not in QUERIES:
            raise ValueError("is no single SELECT")
        return found[0]

    def _check_node(self, node: exp.Expr) -> None:
        kind = type(node)
        if kind is exp.Anonymous:
            self._check_function(node)
        elif kind is exp.DataType:
            if node.this not in TYPES:
                raise ValueError(f"casts to {node.sql()[:64]}, which is not among the types that may be used")
        elif kind not in NODES[self.dialect]:
            raise ValueError(f"uses {_shown(node)}, which is not among what a query may use")
        elif kind is exp.Table:
            self._check_table(node)
        elif kind in SEARCHES and self.dialect == "sqlite":
            check_sought(node.args.get(SEARCHES[kind]))
        elif kind is exp.With and node.args.get("recursive"):
            raise ValueError("uses WITH RECURSIVE, which may have no end")
        elif kind is exp.Var and not str(node.this).replace(" ", "").isalnum():
            raise ValueError("has a word that cannot be read")

    def _check_function(self, node: exp.Expr) -> None:
        name = str(getattr(node.this, "this", node.this))
        if name.lower() not in FUNCTIONS[self.dialect] or isinstance(node.this, exp.Identifier):
            raise ValueError(f"calls {name[:64]}(), which is not among the functions that may be used")

    def _check_table(self, node: exp.Expr) -> None:
        if not isinstance(node.this, exp.Identifier):  # a function, which is looked at by itself
            return
        parts = [part for part in (node.args.get("catalog"), node.args.get("db"), node.this) if part]
        names = [name_of(part, self.dialect) for part in parts]
        if self.tables is not None:
            if ".".join(names) not in self.tables and not (len(names) == 1 and is_cte(node, self.dialect)):
                raise ValueError(f"reads {'.'.join(names)[:130]}, which is not among {', '.join(sorted(self.tables))}")
        elif _is_catalog([name.lower() for name in names]) or (self.dialect == "postgres" and is_keyword(node)):
            raise ValueError(f"reads {'.'.join(names)[:130]}, which is a table of the database itself")


def _is_catalog(names: Sequence[str]) -> bool:
    """Whether a table tells of the database itself, beyond what tables there are."""
    schema = names[-2] if len(names) > 1 else ""
    return (
        len(names) > 2
        or (names[-1].startswith(CATALOGS) and names[-1] not in SCHEMAS)
        or schema in ("pg_catalog", "pg_toast", "temp")
        or (schema == "information_schema" and names[-1] not in INFORMATION)
    )


def _walked(query: exp.Expr) -> Iterator[exp.Expr]:
    """Every node, without recursion."""
    waiting = [query]
    while waiting:
        node = waiting.pop()
        yield node
        waiting.extend(node.iter_expressions())


def _shown(node: exp.Expr) -> str:
    return node.sql_name() + "()" if isinstance(node, exp.Func) else type(node).__name__
