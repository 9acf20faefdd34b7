"""Which names in a query stand for its own WITH, and which for tables."""

from sqlglot import exp


def is_cte(table: exp.Expr) -> bool:
    """Whether the name is that of a WITH that it can see: one of a query around it; and of the same WITH, one that
    comes before the one that it is in. `WITH a AS (SELECT * FROM a)` reads the table `a`."""
    name = table.name.lower()
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
            if any(each.alias.lower() == name for each in seen):
                return True
        inner, outer = outer, outer.parent
    return False
