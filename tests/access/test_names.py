"""Names of users: stable, in one alphabet, and apart by what they were given by."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.access.names import anonymous, is_name_of, name_of, own_name, subject, users_called

is_name = re.compile(r"[A-Za-z0-9_-]{1,64}").fullmatch
HASHED = name_of("ada@example.com")


@pytest.mark.parametrize("claim", ["ada", "A-1_z", "x" * 64])
def test_a_claim_in_the_alphabet_of_names_is_the_name(claim: str) -> None:
    assert name_of(claim) == claim


@pytest.mark.parametrize(
    "claim", ["auth0|507f1f77", "ada@example.com", "x" * 65, "Zoë", "a b", "sub-x", "\ud800", "a\n"]
)
def test_another_claim_becomes_a_stable_name(claim: str) -> None:
    name = name_of(claim)
    assert name == name_of(claim) != claim
    assert name.startswith("sub-")
    assert len(name) == 47


def test_nobody_can_take_the_name_of_a_hashed_subject() -> None:
    assert name_of(HASHED) != HASHED


@given(st.text(min_size=1), st.text(min_size=1))
def test_names_are_usable_and_differ_where_claims_do(one: str, other: str) -> None:
    assert is_name(name_of(one))
    assert (name_of(one) == name_of(other)) == (one == other)


@given(st.text(min_size=1), st.text(min_size=1))
def test_users_of_keys_tokens_and_nobody_never_meet(one: str, other: str) -> None:
    users = {name_of(one), subject(one), anonymous(one), name_of(other), subject(other), anonymous(other)}
    assert len(users) == (3 if one == other else 6)


def test_a_user_may_be_called_by_their_name_as_it_was_given_or_is_kept() -> None:
    for user, names in (
        ("ada", ["ada"]),
        (subject("ada"), ["ada", "jwt:ada"]),
        (subject("ada@example.com"), ["ada@example.com", HASHED, f"jwt:{HASHED}"]),
    ):
        for name in names:
            assert is_name_of(user, name)
        for name in ("bob", "", "anonymous:ada", "jwt:", ":ada", "Ada", "ada ", "sub-"):
            assert not is_name_of(user, name)
    assert not is_name_of("ada", "jwt:ada")


def test_ones_own_name_is_without_what_it_was_given_by() -> None:
    assert [own_name(user) for user in ("ada", subject("ada"), anonymous())] == ["ada", "ada", "anonymous"]


def test_an_administrator_means_all_of_a_name_or_says_which() -> None:
    assert users_called("ada") == ["ada", "jwt:ada", "anonymous:ada"]
    assert users_called("jwt:ada") == ["jwt:ada"]
    assert users_called("anonymous:ada") == ["anonymous:ada"]
    assert users_called("jwt:ada@example.com") == users_called(f"jwt:{HASHED}") == [f"jwt:{HASHED}"]
    assert users_called("ada@example.com")[1] == f"jwt:{HASHED}"
    for odd in ("jwt:", "key:ada", "*", "a:b"):
        assert all(own_name(user).startswith("sub-") for user in users_called(odd))
