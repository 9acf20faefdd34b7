"""Arithmetic, exact where it can be and bounded in time and size everywhere.

Two maintained libraries do nearly this, and were tried with hostile input before `expression.py` was written.
simpleeval 1.0.8 lets 4000000 ** 4000000 through, has no limit of nesting, and gives strings, comprehensions,
inf and complex numbers; asteval 1.0.10 is a language with loops. Both leave integers unbounded between
operations, and functions such as factorial unbounded altogether. Every bound would have to be replaced, and
that is most of what is here.
"""

from typing import Annotated

from pydantic import Field

from app.tools.built_in.arithmetic import show
from app.tools.built_in.expression import MAX_CHARS, evaluate
from app.tools.tool import tool


@tool(pure=True)
async def calculator(
    expression: Annotated[
        str, Field(description="For example (1 + 2.5) * 3 ^ 2 / sqrt(16)", min_length=1, max_length=MAX_CHARS)
    ],
) -> str:
    """Compute an arithmetic expression: numbers, + - * / // % ^ (or **), parentheses, pi, e, tau, functions.

    Functions: sqrt, cbrt, abs, round, floor, ceil, trunc, min, max, sum, pow, exp, log (natural), log(x, base),
    ln, log2, log10, sin, cos, tan, asin, acos, atan (radians), degrees, radians, factorial, gcd, lcm.
    Integers are exact, other results have 15 digits. % is the remainder. A comma groups thousands (1,234.5);
    within a function's parentheses it separates the arguments.
    """
    return show(evaluate(expression))
