"""Bounds on the length and depth of a query, and on what a database does that cannot be interrupted."""

from sqlglot import exp
from sqlglot.tokenizer_core import Token, TokenType

MAX_TOKENS = 1_000
MAX_NESTED = 25
"""Parentheses, one in another."""
MAX_SOUGHT = 200
"""Characters that SQLite's instr, replace and trim look for."""

_BEGINNINGS = frozenset({TokenType.SELECT, TokenType.WITH, TokenType.VALUES})


def check_sought(text: exp.Expr | None) -> None:
    """Raises ValueError."""
    if text is not None and not (isinstance(text, exp.Literal) and len(text.name) <= MAX_SOUGHT):
        raise ValueError(
            "has an instr, replace or trim that looks for something else than a text in quotes of at most "
            f"{MAX_SOUGHT} characters; write x LIKE '%' || y || '%'"
        )


def check_tokens(tokens: list[Token]) -> None:
    """Raises ValueError."""
    if len(tokens) > MAX_TOKENS:
        raise ValueError(f"has more than {MAX_TOKENS} words and signs")
    kinds = [token.token_type for token in tokens]
    while kinds and kinds[-1] is TokenType.SEMICOLON:
        kinds.pop()
    if TokenType.SEMICOLON in kinds:
        raise ValueError("has more than one statement")
    if next((kind for kind in kinds if kind is not TokenType.L_PAREN), None) not in _BEGINNINGS:
        raise ValueError("does not begin with SELECT, WITH or VALUES")
    nested = 0
    for kind in kinds:
        nested += (kind is TokenType.L_PAREN) - (kind is TokenType.R_PAREN)
        if nested > MAX_NESTED:
            raise ValueError(f"has more than {MAX_NESTED} parentheses in one another")
