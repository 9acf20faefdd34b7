"""What the names in a query stand for: its own WITH, tables, or functions."""

from collections.abc import Iterable, Mapping

from sqlglot import exp

from app.tools.rules.sql_allowed import KEYWORD_FUNCTIONS, Dialect

_MAX_NAME_BYTES = 63
"""PostgreSQL reads no more of a name."""

_WITH_COLUMNS = ("_each", "_each_text", "_elements", "_elements_text")
"""How the names of functions end whose results have columns of their own names: key, value."""


def name_of(identifier: exp.Expr, dialect: Dialect) -> str:
    """As the database compares it: PostgreSQL keeps the case of a name in quotes."""
    name = identifier.name
    if dialect == "postgres":
        name = name.encode(errors="replace")[:_MAX_NAME_BYTES].decode(errors="ignore")
    return name if dialect == "postgres" and identifier.args.get("quoted") else name.lower()


def is_cte(table: exp.Expr, dialect: Dialect) -> bool:
    """Whether the name is that of a WITH that it can see: one of a query around it; and of the same WITH, one that
    comes before the one that it is in. `WITH a AS (SELECT * FROM a)` reads the table `a`."""
    name = name_of(table.this, dialect)
    inner, outer = table, table.parent
    own: exp.Expr | None = None
    while outer is not None:
        if isinstance(outer, exp.CTE):
            own = outer
        clause = outer.args.get("with_") or outer.args.get("with")
        if clause is not None:
            seen = clause.expressions
            if inner is clause:
                seen = seen[: next(index for index, each in enumerate(seen) if each is own)]
            if any(name_of(each.args["alias"].this, dialect) == name for each in seen):
                return True
        inner, outer = outer, outer.parent
    return False


def check_columns(nodes: Iterable[exp.Expr]) -> None:
    """Raises ValueError for a column of a function that it may not have.

    PostgreSQL reads `t.pg_read_file` as `pg_read_file(t)` where `t` has no such column. Of what a function in FROM
    returns, `t` is the value itself; tables and subqueries are rows, which no function takes that could do harm.
    """
    relations: set[str] = set()
    functions: dict[str, frozenset[str]] = {}
    columns: list[exp.Expr] = []
    for node in nodes:
        if isinstance(node, exp.Column) and node.args.get("table") and not isinstance(node.this, exp.Star):
            columns.append(node)
        elif _is_function(node):
            name, has = _called(node).lower(), _columns_of(node)
            functions[name] = has & functions.get(name, has)
        elif isinstance(node, exp.Table | exp.Subquery | exp.Lateral | exp.Values):
            called = _alias(node) or node.this
            relations.add(name_of(called, "postgres").lower() if isinstance(called, exp.Identifier) else "")
    for column in columns:
        _check_column(column, relations, functions)


def _check_column(column: exp.Expr, relations: set[str], functions: Mapping[str, frozenset[str]]) -> None:
    table = name_of(column.args["table"], "postgres").lower()
    known = functions.get(table)
    if known is None and table in relations:
        return
    if known is None or name_of(column.this, "postgres") not in known:
        raise ValueError(
            f"uses {column.sql()[:130]}, which is no column that it names; write `function(...) AS t(a)`, and t.a"
        )


def _is_function(node: exp.Expr) -> bool:
    """In FROM."""
    if isinstance(node, exp.Table):
        return not isinstance(node.this, exp.Identifier)
    return isinstance(node, exp.Unnest) or (isinstance(node, exp.Lateral) and not isinstance(node.this, exp.Subquery))


def _called(node: exp.Expr) -> str:
    """What the columns of a function in FROM are told by."""
    if (alias := _alias(node)) is not None:
        return name_of(alias, "postgres")
    called = node if isinstance(node, exp.Unnest) else node.this
    if isinstance(called, exp.Unnest):
        return "unnest"
    if not isinstance(called, exp.Anonymous):
        raise ValueError("has a function in FROM without a name; write `function(...) AS t(a)`")  # noqa: TRY004 - a problem like the others
    return str(called.this).lower()


def _columns_of(node: exp.Expr) -> frozenset[str]:
    alias, offset = node.args.get("alias"), node.args.get("offset")
    named = [name_of(each, "postgres") for each in alias.columns] if alias else []
    called = str(getattr(node.this, "this", "")).lower()
    if called.endswith(_WITH_COLUMNS):
        named += ["key", "value"]
    if isinstance(offset, exp.Identifier):
        named.append(name_of(offset, "postgres"))
    return frozenset(named or [_called(node)])


def _alias(node: exp.Expr) -> exp.Expr | None:
    alias = node.args.get("alias")
    return alias.this if alias is not None and isinstance(alias.this, exp.Identifier) else None


def is_keyword(table: exp.Expr) -> bool:
    """Whether it is a function that PostgreSQL calls without parentheses."""
    return not table.args.get("db") and not table.this.args.get("quoted") and table.name.lower() in KEYWORD_FUNCTIONS
