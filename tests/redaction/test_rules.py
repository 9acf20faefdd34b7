"""Rules of redaction: each finds what its examples say, whichever of the two scanners there is."""

import builtins
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from app.errors import ConfigurationError
from app.redaction import rule
from app.redaction.candidates import Growing, by_hyperscan, by_re2
from app.redaction.rule import Rule, joined
from app.redaction.scanner import Scanner
from app.telemetry.redactions import without_hyperscan
from tests.logged import capture_logs
from tests.redaction.redactors import rules

VALID = """
- id: acme
  kind: acme-key
  group: secrets
  pattern: {pattern}
  source: https://acme.example/keys
  examples:
    positive: [[acm, e_1234], [acme, _5678]]
    negative: [acme, "1234"]
  {more}
"""


def _scanner_of(rules_: tuple[Rule, ...], monkeypatch: pytest.MonkeyPatch, without: str) -> Scanner:
    real = builtins.__import__

    def imported(name: str, *args: Any, **kwargs: Any) -> Any:
        if name == without:
            raise ImportError(name)
        return real(name, *args, **kwargs)

    with monkeypatch.context() as patched:
        patched.setattr(builtins, "__import__", imported)
        return Scanner(rules_)


@pytest.mark.parametrize("without", ["neither", "hyperscan", "re2"])
def test_all_rules_together_find_their_examples_whichever_scanner_there_is(
    without: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = rules()[::16] if without == "re2" else rules()  # Hyperscan takes its time for each
    scanner = _scanner_of(known, monkeypatch, without)
    for each in known:
        for positive in map(joined, each.examples.positive):
            kinds = {found.kind for found in scanner.find(positive.encode())}
            assert kinds, f"{each.id} does not find its example"


@pytest.mark.parametrize("each", rules(), ids=lambda each: each.id)
def test_a_rule_finds_its_own_kind_in_its_positive_examples_and_nothing_in_its_negative_ones(each: Rule) -> None:
    own = Scanner([each])
    for positive in map(joined, each.examples.positive):
        assert [found.kind for found in own.find(positive.encode())] == [each.kind]
    for negative in map(joined, each.examples.negative):
        assert own.find(negative.encode()) == []


def test_hyperscan_reads_all_rules_and_finds_the_same_as_re2() -> None:
    patterns = tuple(each.pattern for each in rules())
    slow, fast = by_re2(patterns), by_hyperscan(patterns)
    for each in rules():
        for example in map(joined, (*each.examples.positive, *each.examples.negative)):
            assert set(slow(example.encode()) or ()) == set(fast(example.encode()) or ())


def _in_a_thread(work: Callable[[], None]) -> None:
    """As a process does: the thread has the lowest priority from then on."""
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()


def test_a_process_goes_over_to_hyperscan_once_it_has_scanned_enough() -> None:
    growing = Growing((r"\bacme_\d{4}\b",), after=2)
    for _ in range(5):
        assert list(growing(b"an acme_1234") or ()) == [0]
    _in_a_thread(growing.grow)
    assert list(growing(b"an acme_1234") or ()) == [0]
    assert not growing(b"an acme_123")


def test_a_process_that_cannot_go_over_to_hyperscan_says_so_and_scans_on(monkeypatch: pytest.MonkeyPatch) -> None:
    growing = Growing((r"\bacme_\d{4}\b",), after=2, stays=without_hyperscan)
    monkeypatch.setitem(sys.modules, "hyperscan", None)
    monkeypatch.delitem(sys.modules, "app.patterns.database", raising=False)
    with capture_logs() as lines:
        _in_a_thread(growing.grow)
    assert list(growing(b"an acme_1234") or ()) == [0]
    assert [(line["event"], "hyperscan" in line["error"]) for line in lines] == [("redaction.without_hyperscan", True)]


def _load(folder: Path, pattern: str, more: str = "") -> Scanner:
    (folder / "acme.yaml").write_text(VALID.format(pattern=pattern, more=more))
    return Scanner(rule.load([folder]))


def test_rules_of_a_folder_are_read(tmp_path: Path) -> None:
    assert [found.kind for found in _load(tmp_path, r"'\bacme_\d{4}\b'").find(b"an acme_1234")] == ["acme-key"]


@pytest.mark.parametrize(
    ("pattern", "more", "says"),
    [
        ("'(acme'", "", "RE2 does not read"),
        ("'(?=acme)a'", "", "RE2 does not read"),
        ("'(a)(cme)'", "", "more than one capturing group"),
        ("'(?:acme)?'", "", "matches an empty text"),
        ("'acme_'", "checksum: no-such-check", "no checksum 'no-such-check'"),
        ("'acme_'", "colour: red", "colour"),
        ("3", "", "pattern"),
    ],
)
def test_a_rule_that_cannot_be_used_stops_the_start(tmp_path: Path, pattern: str, more: str, says: str) -> None:
    with pytest.raises(ConfigurationError, match=says):
        _load(tmp_path, pattern, more)


def test_a_rule_of_a_name_that_there_is_already_stops_the_start(tmp_path: Path) -> None:
    (tmp_path / "one.yaml").write_text(VALID.format(pattern="acme_", more=""))
    (tmp_path / "two.yaml").write_text(VALID.format(pattern="acme_", more=""))
    with pytest.raises(ConfigurationError, match=r"'acme' in .* is there twice"):
        rule.load([tmp_path])


def test_a_folder_that_is_not_there_stops_the_start(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="REDACTION_RULES_DIR"):
        rule.load([tmp_path / "none"])
