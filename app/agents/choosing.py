"""Which tools an agent has: those that a list names, and no others."""

from collections.abc import Collection, Sequence

from app.tools.registry import UNCONFIGURED

ALL_BELOW = "*"
"""At the end of a name: each tool whose name begins so, such as an MCP server's `files__*`."""


def chosen(named: Sequence[str], known: Collection[str]) -> tuple[str, ...]:
    """The known tools that are named, once each, in the order of the list.

    Raises ValueError, which says what there is, for a name that stands for no tool.
    """
    found: dict[str, None] = {}
    for name in named:
        if name == ALL_BELOW:
            raise ValueError("`*` stands behind the beginning of a name; all tools there are, nobody is given at once")
        if name.endswith(ALL_BELOW):
            matching = [tool for tool in known if tool.startswith(name.removesuffix(ALL_BELOW))]
        else:
            matching = [name] if name in known else []
        if not matching:
            raise ValueError(_unknown(name, known))
        found.update(dict.fromkeys(matching))
    return tuple(found)


def _unknown(name: str, known: Collection[str]) -> str:
    if name in UNCONFIGURED:
        return f"the tool {name!r} needs {UNCONFIGURED[name]} to be set"
    what = f"no tool whose name begins with {name[:-1]!r}" if name.endswith(ALL_BELOW) else f"no {name!r}"
    return f"there is {what}; there is {', '.join(sorted(known)) or 'none'}"
