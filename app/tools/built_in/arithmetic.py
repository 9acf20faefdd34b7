"""Operations on numbers whose cost and size are bounded: each takes well under a millisecond or says why not.

Integers are exact up to MAX_BITS bits; floats are finite. Nothing is complex.
"""

import math
import operator
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from app.tools.tool import ToolError

Number = int | float

MAX_BITS = 10_000
"""Of an integer: 3,010 decimal digits, below the 4,300 that Python agrees to print."""
MAX_FACTORIAL = 1_000
TOO_LARGE = "The result is too large."

CONSTANTS = {"pi": math.pi, "e": math.e, "tau": math.tau, "π": math.pi, "τ": math.tau}


def _power(base: Number, exponent: Number) -> Any:
    if isinstance(base, int) and isinstance(exponent, int) and (base.bit_length() - 1) * exponent > MAX_BITS:
        raise ToolError(TOO_LARGE)
    return base**exponent


def _square_root(x: Number) -> Number:
    if isinstance(x, int) and x >= 0 and (root := math.isqrt(x)) ** 2 == x:
        return root
    return math.sqrt(x)


def _round(x: Number, digits: Number = 0) -> Number:
    if not isinstance(digits, int) or abs(digits) > MAX_BITS:
        raise ToolError("round: the number of digits must be a small integer.")
    return round(x, digits) if digits else round(x)


def _factorial(n: Number) -> int:
    if n != int(n) or not 0 <= n <= MAX_FACTORIAL:
        raise ToolError(f"factorial: only of whole numbers from 0 to {MAX_FACTORIAL}.")
    return math.factorial(int(n))


BINARY: dict[str, Callable[[Any, Any], Any]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "//": operator.floordiv,
    "%": operator.mod,
    "**": _power,
}

MANY = 1_000
FUNCTIONS: dict[str, tuple[Callable[..., Any], int, int]] = {
    "sqrt": (_square_root, 1, 1),
    "cbrt": (math.cbrt, 1, 1),
    "abs": (abs, 1, 1),
    "round": (_round, 1, 2),
    "floor": (math.floor, 1, 1),
    "ceil": (math.ceil, 1, 1),
    "trunc": (math.trunc, 1, 1),
    "min": (lambda *numbers: min(numbers), 1, MANY),
    "max": (lambda *numbers: max(numbers), 1, MANY),
    "sum": (lambda *numbers: sum(numbers), 1, MANY),
    "pow": (_power, 2, 2),
    "exp": (math.exp, 1, 1),
    "log": (math.log, 1, 2),
    "ln": (math.log, 1, 1),
    "log2": (math.log2, 1, 1),
    "log10": (math.log10, 1, 1),
    "sin": (math.sin, 1, 1),
    "cos": (math.cos, 1, 1),
    "tan": (math.tan, 1, 1),
    "asin": (math.asin, 1, 1),
    "acos": (math.acos, 1, 1),
    "atan": (math.atan, 1, 1),
    "degrees": (math.degrees, 1, 1),
    "radians": (math.radians, 1, 1),
    "factorial": (_factorial, 1, 1),
    "gcd": (math.gcd, 2, MANY),
    "lcm": (math.lcm, 2, 2),
}
"""Each with the fewest and the most arguments it takes. Angles are radians, log without a base is natural."""


def apply(name: str, operation: Callable[..., Any], *operands: Number) -> Number:
    """The operation's result, checked. Raises ToolError in words for the caller."""
    try:
        result = operation(*operands)
        if isinstance(result, int):
            if result.bit_length() > MAX_BITS:
                raise ToolError(TOO_LARGE)
            return result
        if isinstance(result, complex):
            raise ToolError(f"{name}: the result is not a real number.")
        number = float(result)
    except ZeroDivisionError:
        raise ToolError("Division by zero.") from None
    except OverflowError:
        raise ToolError(TOO_LARGE) from None
    except ValueError:
        raise ToolError(f"{name} is not defined there.") from None
    except TypeError:  # gcd and lcm take integers only
        raise ToolError(f"{name} takes whole numbers only.") from None
    if not math.isfinite(number):
        raise ToolError(TOO_LARGE)
    return number


def show(number: Number) -> str:
    """Integers in full; floats to the 15 digits that a double is sure of, so 0.1 + 0.2 is 0.3.

    Without an exponent from 1e-9 to 1e21.
    """
    if isinstance(number, int):
        return str(number)
    text = format(number, ".15g")
    if "e" in text and 1e-9 <= abs(number) < 1e21:
        text = format(Decimal(text), "f")
    return "0" if text == "-0" else text
