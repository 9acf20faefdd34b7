"""The redactor of a process: by its settings, and nothing where there is none."""

import subprocess
import sys
from pathlib import Path

import pytest

from app.errors import ConfigurationError
from app.redaction.build import build_redactor
from app.settings import load


def test_nothing_is_loaded_where_nothing_is_redacted() -> None:
    program = (
        "import sys; from app.main import create_app; from app.settings import load;"
        "create_app(load(None, redact='none', guard_input='off'));"
        "assert not {'re2', 'hyperscan', 'app.redaction.engine'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=120)


def test_kinds_are_those_of_the_setting() -> None:
    redactor = build_redactor(load(None, redact="emails"), lambda *_: None, lambda: None)
    assert redactor is not None
    assert redactor.text("jane@example.org 4111 1111 1111 1111") == "[redacted: email] 4111 1111 1111 1111"


def test_rules_of_a_folder_join_the_services_own(tmp_path: Path) -> None:
    (tmp_path / "own.yaml").write_text(
        "- id: acme\n  kind: acme-key\n  group: secrets\n  pattern: '\\bacme_\\d{4}\\b'\n  source: https://acme.example\n"
        "  examples: {positive: [acme_1234, acme_5678], negative: [acme, acme_1]}\n"
    )
    redactor = build_redactor(load(None, redaction_rules_dir=str(tmp_path)), lambda *_: None, lambda: None)
    assert redactor is not None
    assert redactor.text("acme_1234 4111 1111 1111 1111") == "[redacted: acme-key] [redacted: card]"


def test_a_folder_that_is_not_there_stops_the_start(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="REDACTION_RULES_DIR"):
        build_redactor(load(None, redaction_rules_dir=str(tmp_path / "no")), lambda *_: None, lambda: None)
