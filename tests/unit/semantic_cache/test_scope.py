from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.semantic_cache.scope import Scope, ask, normalise
from tests.unit.semantic_cache.properties import seeded
from tests.unit.semantic_cache.replica import scope

scopes = st.builds(
    Scope,
    tenant_id=st.text("t1:", min_size=1, max_size=4),
    user_id=st.text("u1:", max_size=4),
    personal=st.booleans(),
    tier=st.integers(min_value=0, max_value=3),
    model=st.text("m1:", max_size=4),
    instructions_fingerprint=st.text("f1:", max_size=4),
    context_fingerprint=st.text("f1:", max_size=4),
)


@given(scopes, scopes)
@seeded
def test_only_equal_scopes_share_a_digest(one: Scope, two: Scope) -> None:
    # The user counts in personal scopes only.
    effective = [each if each.personal else replace(each, user_id="") for each in (one, two)]
    assert (one.digest() == two.digest()) == (effective[0] == effective[1])


@pytest.mark.parametrize(
    "other",
    [
        scope(tenant="t2"),
        scope(tier=2),
        scope(model="m"),
        scope(instructions="f"),
        scope(context="f"),
        scope(personal=True),
    ],
)
def test_every_part_of_a_scope_separates(other: Scope) -> None:
    assert ask(scope(), "hello").key.entry != ask(other, "hello").key.entry


def test_users_share_what_is_not_personal() -> None:
    assert ask(scope(user="u1"), "hello").key == ask(scope(user="u2"), "hello").key


@pytest.mark.parametrize(
    ("one", "two"),
    [("What is it?", "  What is it?\n"), ("caf\u00e9", "cafe\u0301")],
)
def test_the_same_text(one: str, two: str) -> None:
    assert ask(scope(), one).key == ask(scope(), two).key


@pytest.mark.parametrize(
    ("one", "two"),
    [("What is it?", "what is it?"), ("a b", "a  b"), ("x\u00b2", "x2"), ("US", "us")],
)
def test_not_the_same_text(one: str, two: str) -> None:
    assert ask(scope(), one).key != ask(scope(), two).key


@given(st.text())
@seeded
def test_normalising_twice_changes_nothing_more(text: str) -> None:
    assert normalise(normalise(text)) == normalise(text)


def test_a_key_shows_no_text() -> None:
    key = ask(scope(), "my secret question").key
    assert b"secret" not in key.entry
    assert b"secret" not in key.scope
