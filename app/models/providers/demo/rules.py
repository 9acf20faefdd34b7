"""Which tools the demo model calls for a message: the calculator for arithmetic, the clock for the time."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from app.messages import ToolCall, UserMessage
from app.models.protocol import ModelRequest
from app.models.providers.tool_calls import new_id

ZONES: Mapping[str, str] = {
    "amsterdam": "Europe/Amsterdam",
    "bangalore": "Asia/Kolkata",
    "beijing": "Asia/Shanghai",
    "berlin": "Europe/Berlin",
    "cairo": "Africa/Cairo",
    "chicago": "America/Chicago",
    "delhi": "Asia/Kolkata",
    "dubai": "Asia/Dubai",
    "hong kong": "Asia/Hong_Kong",
    "istanbul": "Europe/Istanbul",
    "johannesburg": "Africa/Johannesburg",
    "lagos": "Africa/Lagos",
    "london": "Europe/London",
    "los angeles": "America/Los_Angeles",
    "madrid": "Europe/Madrid",
    "mexico city": "America/Mexico_City",
    "moscow": "Europe/Moscow",
    "mumbai": "Asia/Kolkata",
    "nairobi": "Africa/Nairobi",
    "new york": "America/New_York",
    "paris": "Europe/Paris",
    "rome": "Europe/Rome",
    "san francisco": "America/Los_Angeles",
    "sao paulo": "America/Sao_Paulo",
    "seoul": "Asia/Seoul",
    "shanghai": "Asia/Shanghai",
    "singapore": "Asia/Singapore",
    "sydney": "Australia/Sydney",
    "tokyo": "Asia/Tokyo",
    "toronto": "America/Toronto",
    "zurich": "Europe/Zurich",
}

# None of these goes back over what it has read: a message may be long, and may mean harm.
_ISO_DATE = re.compile(r"\b[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}\b")
_ARITHMETIC = re.compile(r"[-+*/^%().,0-9 ]+")
_OPERATION = re.compile(r"[0-9.)] *(?:\*\*|//|[-+*/^%])[ (+-]*[0-9.]")
_TIME = re.compile(r"\b(?:time|date|today|clock)\b", re.IGNORECASE)
_IANA_ZONE = re.compile(r"\b[A-Z][A-Za-z]+/[A-Z][A-Za-z_]+(?:/[A-Z][A-Za-z_]+)?\b")
_CITY = re.compile(rf"\b(?:{'|'.join(ZONES)})\b", re.IGNORECASE)


def calls_for(request: ModelRequest) -> Iterator[ToolCall]:
    """None but for a message that the user has just sent, and of tools that are offered."""
    last = request.messages[-1] if request.messages else None
    if not isinstance(last, UserMessage):
        return
    offered = {tool.name for tool in request.tools}
    expression = _expression(last.content)
    if expression and "calculator" in offered:
        yield _call("calculator", {"expression": expression})
    if _TIME.search(last.content) and "clock" in offered:
        yield _call("clock", {"zone": _zone(last.content)})


def _call(name: str, arguments: dict[str, Any]) -> ToolCall:
    return ToolCall(new_id(), name, arguments)


def _expression(message: str) -> str | None:
    for match in _ARITHMETIC.finditer(_ISO_DATE.sub(" ", message)):
        if _OPERATION.search(match.group()):
            return _balanced(match.group().lstrip(" .,+*/^%)").rstrip(" .,+-*/^%("))
    return None


def _balanced(expression: str) -> str:
    """Without the parentheses at its ends that belong to the sentence around it."""
    surplus = expression.count("(") - expression.count(")")
    while surplus > 0 and expression.startswith("("):
        expression, surplus = expression[1:], surplus - 1
    while surplus < 0 and expression.endswith(")"):
        expression, surplus = expression[:-1], surplus + 1
    return expression


def _zone(message: str) -> str:
    if zone := _IANA_ZONE.search(message):
        return zone.group()
    city = _CITY.search(message)
    return ZONES[city.group().lower()] if city else "UTC"
