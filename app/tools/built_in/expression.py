"""An arithmetic expression, from text to its value. Nothing of it is ever given to `eval`.

    sum     = product (("+" | "-") product)*
    product = unary (("*" | "/" | "//" | "%") unary)*
    unary   = ("+" | "-") unary | power
    power   = atom ("**" unary)?
    atom    = number | constant | function "(" sum ("," sum)* ")" | "(" sum ")"

Precedence and meaning are Python's: -2 ** 2 is -4, -7 // 2 is -4, -7 % 3 is 2.
"""

import math
import re

from app.tools.built_in.arithmetic import BINARY, CONSTANTS, FUNCTIONS, TOO_LARGE, Number, apply
from app.tools.tool import ToolError

MAX_CHARS = 1_000
MAX_NESTING = 50

SPELLINGS = str.maketrans(
    {
        "^": "**",
        "\N{MULTIPLICATION SIGN}": "*",
        "\N{MIDDLE DOT}": "*",
        "\N{DOT OPERATOR}": "*",
        "\N{DIVISION SIGN}": "/",
        "\N{MINUS SIGN}": "-",
    }
)
TOKEN = re.compile(
    r"""\s*(?:
        (?P<number>(?:[0-9][0-9_]*\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)
      | (?P<name>[^\W\d]\w*)
      | (?P<sign>\*\*|//|[-+*/%(),])
    )""",
    re.VERBOSE,
)
GROUPED = re.compile(r"\s*(?P<number>[0-9]{1,3}(?:,[0-9]{3})+(?:\.[0-9]+)?)(?![0-9,.])")
END = ("end", "the end")

Token = tuple[str, str]


def evaluate(expression: str) -> Number:
    """The expression's value. Raises ToolError."""
    if len(expression) > MAX_CHARS:
        raise ToolError(f"The expression has more than {MAX_CHARS} characters.")
    parser = _Parser(_tokens(expression.translate(SPELLINGS).rstrip()))
    value = parser.sum()
    if parser.token is not END:
        raise parser.unexpected()
    return value


def _tokens(text: str) -> list[Token]:
    tokens: list[Token] = []
    in_call: list[bool] = []  # for each open parenthesis, whether it is a function's: there, commas separate
    at = 0
    while at < len(text):
        grouped = None if in_call and in_call[-1] else GROUPED.match(text, at)
        match = grouped or TOKEN.match(text, at)
        if match is None:
            raise ToolError(f"Cannot read {text[at:].strip()[:20]!r}.")
        kind = match.lastgroup or ""
        value = match[kind]
        if value == "(":
            in_call.append(bool(tokens) and tokens[-1][0] == "name")
        elif value == ")" and in_call:
            in_call.pop()
        tokens.append((kind, value))
        at = match.end()
    return [*tokens, END]


class _Parser:
    """Recursive descent that computes as it reads. Chains of operators are loops: only nesting recurses."""

    def __init__(self, tokens: list[Token]) -> None:
        self._rest = iter(tokens)
        self._depth = 0
        self.token = next(self._rest)

    def unexpected(self) -> ToolError:
        kind, text = self.token
        if text == ",":
            return ToolError("A comma groups thousands (1,234.5) or separates arguments; this one does neither.")
        where = text if kind == "end" else repr(text[:20])
        return ToolError(f"The expression makes no sense at {where}: expected a number or an operator.")

    def sum(self) -> Number:
        value = self._product()
        while self.token[1] in ("+", "-"):
            sign = self._take()
            value = apply(sign, BINARY[sign], value, self._product())
        return value

    def _product(self) -> Number:
        value = self._unary()
        while self.token[1] in ("*", "/", "//", "%"):
            sign = self._take()
            value = apply(sign, BINARY[sign], value, self._unary())
        return value

    def _unary(self) -> Number:
        self._depth += 1
        if self._depth > MAX_NESTING:
            raise ToolError(f"The expression is nested more than {MAX_NESTING} levels deep.")
        if self.token[1] in ("+", "-"):
            negative = self._take() == "-"
            value = self._unary()
            value = -value if negative else value
        else:
            value = self._power()
        self._depth -= 1
        return value

    def _power(self) -> Number:
        base = self._atom()
        if self.token[1] != "**":
            return base
        self._take()
        return apply("**", BINARY["**"], base, self._unary())

    def _atom(self) -> Number:
        kind, text = self.token
        if kind == "number":
            return _number(self._take())
        if kind == "name":
            return self._named(self._take())
        if text != "(":
            raise self.unexpected()
        self._take()
        value = self.sum()
        self._expect(")")
        return value

    def _named(self, name: str) -> Number:
        if name.lower() in CONSTANTS:
            return CONSTANTS[name.lower()]
        if name.lower() not in FUNCTIONS:
            known = ", ".join((*FUNCTIONS, *CONSTANTS))
            raise ToolError(f"Unknown name {name[:20]!r}. Known are {known}.")
        function, fewest, most = FUNCTIONS[name.lower()]
        self._expect("(")
        arguments = [self.sum()]
        while self.token[1] == ",":
            self._take()
            arguments.append(self.sum())
        self._expect(")")
        if not fewest <= len(arguments) <= most:
            raise ToolError(f"{name} does not take {len(arguments)} arguments.")
        return apply(name, function, *arguments)

    def _take(self) -> str:
        text = self.token[1]
        self.token = next(self._rest)
        return text

    def _expect(self, sign: str) -> None:
        if self.token[1] != sign:
            raise ToolError(f"Expected {sign!r} at {self.token[1][:20]!r}.")
        self._take()


def _number(text: str) -> Number:
    digits = text.replace(",", "").replace("_", "")
    if digits.isdecimal():
        return int(digits)
    if math.isinf(number := float(digits)):
        raise ToolError(TOO_LARGE)
    return number
