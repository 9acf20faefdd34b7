"""`/docs` and `/redoc`: pages that load nothing from another host, and can be switched off."""

import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urljoin

import httpx
import pytest

from app.access.api_keys import new_secret
from app.api.docs import PATHS
from tests.access.keys import line
from tests.conftest import Serve
from tests.service import Service, problem_of

PAGES = ["/docs", "/redoc"]


def loaded_by(page: httpx.Response) -> Iterator[str]:
    """What the page names as its sources, as paths of the same host."""
    for reference in re.findall(r'(?:src|href|spec-url)="([^"]*)"', page.text):
        url = urljoin(str(page.request.url), reference)
        assert url.startswith(str(page.request.url.copy_with(path="/"))), url
        yield httpx.URL(url).path


@pytest.mark.parametrize("path", PAGES)
def test_a_page_and_all_that_it_loads_are_served(demo: Service, path: str) -> None:
    page = demo.ask("GET", path)
    assert page.status_code == 200
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    sources = list(loaded_by(page))
    assert len(sources) >= 3
    for source in sources:
        answer = demo.ask("GET", source)
        assert (source, answer.status_code) == (source, 200)
        assert answer.content
    assert "://" not in page.text
    assert "<style" not in page.text
    assert not re.search(r"<script(?![^>]*src=)", page.text), "the policy forbids it"


@pytest.mark.parametrize("path", PAGES)
def test_the_policy_lets_nothing_in_from_another_host(demo: Service, path: str) -> None:
    headers = demo.ask("GET", path).headers
    rules = dict(rule.strip().split(" ", 1) for rule in headers["content-security-policy"].split(";"))
    assert rules["default-src"] == "'none'"
    assert rules["script-src"] == "'self'"
    assert rules["connect-src"] == "'self'"
    assert rules["frame-ancestors"] == rules["base-uri"] == rules["form-action"] == "'none'"
    assert set(" ".join(rules.values()).split()) <= {"'none'", "'self'", "'unsafe-inline'", "data:", "blob:"}
    assert rules["style-src"] == ("'self'" if path == "/docs" else "'self' 'unsafe-inline'")
    assert headers["x-content-type-options"] == "nosniff"


def test_scripts_that_are_run_name_no_other_host(demo: Service) -> None:
    assert "://" not in demo.ask("GET", "/docs/start.js").text
    assert "validatorUrl: null" in demo.ask("GET", "/docs/start.js").text


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/docs/swagger-ui-bundle.js", "javascript"),
        ("/docs/swagger-ui.css", "text/css"),
        ("/docs/start.js", "javascript"),
        ("/docs/favicon.png", "image/png"),
        ("/redoc/redoc.standalone.js", "javascript"),
        ("/redoc/logo-mini.svg", "image/svg"),
    ],
)
def test_files_have_their_types_and_are_not_sent_twice(demo: Service, path: str, kind: str) -> None:
    first = demo.ask("GET", path)
    assert kind in first.headers["content-type"]
    again = demo.ask("GET", path, If_None_Match=first.headers["etag"])
    assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize(
    "path", ["/docs/", "/docs/nothing.js", "/docs/../main.py", "/docs/%2e%2e/main.py", "/redoc/LICENSE"]
)
def test_nothing_else_is_served_there(demo: Service, path: str) -> None:
    problem_of(demo.ask("GET", path), 404, "not-found")


def test_pages_can_be_switched_off(serve: Serve) -> None:
    service = serve(docs=False)
    for path in PATHS - {"/openapi.json"}:
        problem_of(service.ask("GET", path), 404, "not-found")
    assert service.ask("GET", "/openapi.json").status_code == 200


def test_they_want_no_credentials(serve: Serve, tmp_path: Path) -> None:
    file = tmp_path / "keys.jsonl"
    file.write_text(line(new_secret(), user="ada"))
    service = serve(auth="api-key", api_keys_file=file)
    for path in PATHS:
        assert (path, service.ask("GET", path).status_code) == (path, 200)
