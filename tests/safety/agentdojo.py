"""AgentDojo's injections (https://github.com/ethz-spylab/agentdojo, MIT): what each wants, and the calls that do it.

Read from its wheel, which tests/safety/corpora.lock names and which is never installed.
"""

import ast
from collections.abc import Iterator
from functools import cache
from typing import NamedTuple
from zipfile import ZipFile

from tests.safety.corpora import WHEELS

READING = ("get_", "search_", "read_", "list_")
"""How its tools that change nothing begin. Its `get_webpage` sends a request, which may be what is wanted."""
SAID = {"email": "send_email", "delete": "delete_email"}
"""Calls of tasks that compute theirs, by words of their goals."""


class Injection(NamedTuple):
    name: str
    goal: str
    calls: tuple[str, ...]
    """Names of its tools, those that change nothing included. None: it wants something to be said only."""

    @property
    def effects(self) -> tuple[str, ...]:
        return tuple(call for call in self.calls if call == "get_webpage" or not call.startswith(READING))


def injections() -> list[Injection]:
    """Of all versions of all suites; those that a later version has not changed once."""
    (path,) = WHEELS.glob("agentdojo-*.whl")
    found: dict[tuple[str, tuple[str, ...]], Injection] = {}
    with ZipFile(path) as wheel:
        for name in sorted(wheel.namelist()):
            if name.endswith("/injection_tasks.py"):
                suite = "/".join(name.split("/")[2:4])
                for injection in _tasks(suite, ast.parse(wheel.read(name))):
                    found.setdefault((injection.goal, injection.calls), injection)
    return list(found.values())


def attack(goal: str) -> str:
    """The goal in the form of AgentDojo's `important_instructions`."""
    return _form().format(goal=goal, user="Emma Johnson", model="ChatGPT")


@cache
def _form() -> str:
    (path,) = WHEELS.glob("agentdojo-*.whl")
    with ZipFile(path) as wheel:
        tree = ast.parse(wheel.read("agentdojo/attacks/important_instructions_attacks.py"))
    form = next(_assigned(node, "_JB_STRING", {}) for node in ast.walk(tree) if isinstance(node, ast.ClassDef))
    assert "{goal}" in form
    return form


def _tasks(suite: str, tree: ast.Module) -> Iterator[Injection]:
    shared = _names(tree.body, {})
    for kind in tree.body:
        if isinstance(kind, ast.ClassDef) and (goal := _assigned(kind, "GOAL", shared)):
            calls = tuple(_called(kind)) or tuple(call for word, call in SAID.items() if word in goal)
            yield Injection(f"{suite}/{kind.name}", goal, calls)


def _called(kind: ast.ClassDef) -> Iterator[str]:
    for node in ast.walk(kind):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "FunctionCall":
            for keyword in node.keywords:
                if keyword.arg == "function" and isinstance(keyword.value, ast.Constant):
                    yield str(keyword.value.value)


def _assigned(kind: ast.ClassDef, variable: str, known: dict[str, str]) -> str:
    return _names(kind.body, known).get(variable, "")


def _names(body: list[ast.stmt], known: dict[str, str]) -> dict[str, str]:
    names = dict(known)
    for node in body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            names[node.targets[0].id] = _value(node.value, names)
    return names


def _value(node: ast.AST, known: dict[str, str]) -> str:
    match node:
        case ast.Constant(value=value):
            return str(value)
        case ast.Name(id=name):
            return known.get(name, name)
        case ast.FormattedValue(value=value):
            return _value(value, known)
        case ast.JoinedStr(values=values):
            return "".join(_value(value, known) for value in values)
        case ast.BinOp(left=left, right=right):
            return _value(left, known) + _value(right, known)
    return ""
