"""The files of rules for input: what a rule says, and how one that is wrong is told of."""

import re
from collections.abc import Iterator, Mapping
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Annotated, Literal, get_args

import msgspec
import yaml
from msgspec import Meta, Struct

from app.errors import ConfigurationError
from app.safety.verdict import Source

Category = Literal[
    "override",
    "system-prompt-extraction",
    "role-play-jailbreak",
    "encoding-evasion",
    "delimiter-forgery",
    "tool-abuse",
    "data-exfiltration",
    "harmful",
]
CATEGORIES: tuple[Category, ...] = get_args(Category)

Id = Annotated[str, Meta(pattern=r"^[a-z][a-z0-9-]{2,63}$")]
Examples = Annotated[tuple[str, ...], Meta(min_length=2)]
Bytes = Annotated[int, Meta(ge=4, le=100_000)]


class Rule(Struct, frozen=True, forbid_unknown_fields=True):
    """It is met where its `pattern` matches, its terms stand one after the other (`then`), several of them close
    together (`near`), or weak `signs` that are close together add up: one of the four. An item of the latter three is
    the name of a term or phrase, or several with `|` between them."""

    id: Id
    category: Category
    languages: Annotated[tuple[str, ...], Meta(min_length=1)]
    verdict: Literal["block", "flag"]
    positives: Examples
    negatives: Examples
    pattern: str = ""
    """A regular expression as hyperscan and RE2 have them: no look-around, no back references. It is matched on the
    text in lower case, without accents and format characters."""
    then: tuple[str, ...] = ()
    gap: Bytes = 30
    """How many bytes may be between the ends of two items of `then`."""
    near: tuple[str, ...] = ()
    signs: dict[str, Annotated[int, Meta(ge=1)]] = {}
    """Items, and what each of them weighs."""
    need: Annotated[int, Meta(ge=2)] | None = None
    """How many items of `near` have to be there, None: all; or what `signs` have to weigh together."""
    within: Bytes = 400
    """How many bytes may be between the ends of the first and the last of them."""
    sources: frozenset[Source] = frozenset({"user", "system", "tool", "document"})
    precision: Annotated[float, Meta(ge=0, le=1)] | None = None
    """As it was measured on the corpora; None: it never matched there."""
    origin: str = ""
    """Where it is from. That and its licence are the file's, unless the rule says so itself."""
    licence: str = ""


class Phrase(Struct, frozen=True, forbid_unknown_fields=True):
    """Items one after the other, which count as one from then on."""

    then: Annotated[tuple[str, ...], Meta(min_length=2)]
    gap: Bytes = 30


class RuleFile(Struct, frozen=True, forbid_unknown_fields=True):
    rules: Annotated[tuple[Rule, ...], Meta(min_length=1)]
    terms: dict[str, str] = {}
    """Words, or several in a row, apart by commas. Where `*` begins or ends one, a word may go on there."""
    phrases: dict[str, Phrase] = {}
    origin: str = ""
    licence: str = ""
    name: str = ""


def read_files(further: Path | None) -> tuple[RuleFile, ...]:
    """The service's own, and those of GUARD_RULES_DIR. Raises ConfigurationError."""
    read: list[RuleFile] = []
    names: dict[str, str] = {}
    for name, content in _contents(further):
        file = _read(name, content)
        for rule in file.rules:
            _check(file, rule)
            if rule.id in names:
                raise wrong(file, rule, f"there is one of this name in {names[rule.id]}")
            names[rule.id] = name
        read.append(file)
    return tuple(read)


def wrong(file: RuleFile, rule: Rule | str, problem: str) -> ConfigurationError:
    """What to say of a rule that does not load."""
    return ConfigurationError(f"{file.name}: rule {rule if isinstance(rule, str) else rule.id!r}: {problem}")


def items(of: Rule | Phrase) -> list[list[str]]:
    """The names of terms and phrases, item by item."""
    written = of.then or ((of.near or tuple(of.signs)) if isinstance(of, Rule) else ())
    return [[name.strip() for name in item.split("|")] for item in written]


def _contents(further: Path | None) -> Iterator[tuple[str, str]]:
    own: Traversable = files("app.safety") / "rules"
    for entry in sorted(own.iterdir(), key=lambda entry: entry.name):
        if entry.name.endswith(".yaml"):
            yield f"app/safety/rules/{entry.name}", entry.read_text("utf-8")
    if further is None:
        return
    paths = sorted(further.glob("*.yaml")) if further.is_dir() else []
    if not paths:
        raise ConfigurationError(f"GUARD_RULES_DIR: there is no `*.yaml` in {further}. Unset it, or put rules there.")
    for path in paths:
        try:
            yield f"GUARD_RULES_DIR: {path}", path.read_text("utf-8")
        except (OSError, ValueError) as error:
            raise ConfigurationError(f"GUARD_RULES_DIR: {path} cannot be read ({error})") from None


def _read(name: str, content: str) -> RuleFile:
    try:
        document = yaml.load(content, yaml.CSafeLoader)
    except yaml.YAMLError as error:
        raise ConfigurationError(f"{name}: this is no YAML: {error}") from None
    try:
        return msgspec.structs.replace(msgspec.convert(document, RuleFile), name=name)
    except msgspec.ValidationError as error:
        raise ConfigurationError(f"{name}: {_named(document, str(error))}") from None


def _named(document: object, problem: str) -> str:
    """The problem, with the id of the rule that it is in."""
    found = re.search(r"\$\.rules\[(\d+)\]", problem)
    if found is not None and isinstance(document, Mapping):
        rule = document["rules"][int(found[1])]
        if isinstance(rule, Mapping) and "id" in rule:
            return f"rule {rule['id']!r}: {problem}"
    return problem


def _check(file: RuleFile, rule: Rule) -> None:
    if not ((rule.origin or file.origin) and (rule.licence or file.licence)):
        raise wrong(file, rule, "it has no `origin` or no `licence`, nor has the file")
    if sum(map(bool, (rule.pattern, rule.then, rule.near, rule.signs))) != 1:
        raise wrong(file, rule, "it has one of `pattern`, `then`, `near` and `signs`")
    if rule.near and not 2 <= (rule.need or len(rule.near)) <= len(rule.near):
        raise wrong(file, rule, "`need` is from 2 to the number of items of `near`")
    if rule.signs and not max(rule.signs.values()) < (rule.need or 0) <= sum(rule.signs.values()):
        raise wrong(file, rule, "`need` is more than the heaviest of `signs` weighs, and no more than all of them do")
    for name in (name for item in items(rule) for name in item):
        if name not in file.terms and name not in file.phrases:
            raise wrong(file, rule, f"there is no term or phrase {name!r}")
