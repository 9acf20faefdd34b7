"""The errors: the tree that the docstring draws is the tree there is, and each becomes a sound problem document."""

import re

import pytest

from app import errors
from app.api.error_headers import headers_of
from app.errors import AppError, BudgetExceeded, DeadlineExceeded, Forbidden, InvalidRequest, RateLimited, Unauthorized

CLASSES = {
    name: value for name, value in vars(errors).items() if isinstance(value, type) and issubclass(value, Exception)
}
LINE = re.compile(r"^(?P<indent>[│├└─ ]*)(?P<name>[A-Z]\w+)(?: (?P<status>\d{3}))?(?: {2,}.*)?$")


def drawn() -> dict[str, tuple[str | None, int | None]]:
    """Each class that the docstring names, with its parent and its status."""
    tree: dict[str, tuple[str | None, int | None]] = {}
    above: list[tuple[int, str]] = []
    for line in (errors.__doc__ or "").splitlines()[1:]:
        if not line.strip():
            above = []
            continue
        found = LINE.match(line)
        assert found, line
        depth = len(found["indent"])
        above = [(indent, name) for indent, name in above if indent < depth]
        tree[found["name"]] = (above[-1][1] if above else None, int(found["status"]) if found["status"] else None)
        above.append((depth, found["name"]))
    return tree


def test_the_tree_of_the_docstring_is_the_tree_there_is() -> None:
    tree = drawn()
    assert tree.keys() == CLASSES.keys()
    for name, (parent, _) in tree.items():
        assert CLASSES[name].__bases__ == (CLASSES[parent] if parent else Exception,), name


@pytest.mark.parametrize("name", [name for name, (_, status) in drawn().items() if status])
def test_the_status_of_the_docstring_is_the_status_there_is(name: str) -> None:
    error = CLASSES[name]
    assert issubclass(error, AppError)
    assert error.status == drawn()[name][1]


def test_each_error_has_a_type_of_its_own_and_a_title() -> None:
    leaves = [error for name, error in CLASSES.items() if issubclass(error, AppError) and drawn()[name][1]]
    slugs = [error.slug for error in leaves]
    assert len(set(slugs)) == len(slugs)
    assert all(re.fullmatch(r"[a-z]+(-[a-z]+)*", slug) for slug in slugs)
    assert all(error.title for error in leaves)


def test_an_error_is_its_detail() -> None:
    error = AppError("What happened.", retry_after=2.5)
    assert (str(error), error.detail, error.retry_after) == ("What happened.", "What happened.", 2.5)
    assert (error.members(), headers_of(error)) == ({}, {})
    assert AppError("What happened.").retry_after is None


def test_members_of_the_problem_document() -> None:
    assert InvalidRequest("No.").members() == {}
    assert InvalidRequest("No.", [{"field": "message"}]).members() == {"errors": ({"field": "message"},)}
    assert DeadlineExceeded("Late.").members() == {"finish_reason": "deadline"}
    budget = BudgetExceeded("team", "month", "usd", retry_after=60, resets_in=600)
    assert budget.members() == {"budget": "team", "period": "month", "unit": "usd", "resets_in_seconds": 600}
    assert "your team's budget of US dollars for this month" in budget.detail
    assert budget.retry_after == 60


@pytest.mark.parametrize(
    ("problem", "challenge", "detail"),
    [
        ("missing", 'Bearer realm="agent-api"', "Credentials are missing"),
        ("expired", 'error_description="The token is expired"', "The credentials are expired."),
        ("invalid", 'error="invalid_token"', "The credentials are invalid."),
    ],
)
def test_a_challenge_says_what_was_wrong(problem: str, challenge: str, detail: str) -> None:
    error = Unauthorized(problem)  # type: ignore[arg-type]
    assert challenge in headers_of(error)["WWW-Authenticate"]
    assert detail in error.detail


def test_a_missing_scope_is_named() -> None:
    error = Forbidden.lacking("tools:clock")
    assert "'tools:clock'" in error.detail
    assert 'error="insufficient_scope", scope="tools:clock"' in headers_of(error)["WWW-Authenticate"]


@pytest.mark.parametrize("scope", ["", 'a"b', "a b", "a\\b", "ä", "a\r\nX-Evil: 1"])
def test_a_scope_that_is_no_token_stays_out_of_the_header(scope: str) -> None:
    assert headers_of(Forbidden("No.", scope)) == {}


def test_a_rate_limit_is_shown_to_those_it_concerns() -> None:
    shown = RateLimited("user", 7, policies='"user";q=10;w=60', shown=True)
    assert headers_of(shown) == {"RateLimit-Policy": '"user";q=10;w=60', "RateLimit": '"user";r=0;t=7'}
    assert shown.members() == {"violated-policies": ["user"]}
    assert shown.retry_after == 7
    assert headers_of(RateLimited("global", 7, policies="", shown=False)) == {}
