from dataclasses import fields, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.semantic_cache.scope import Scope, ask, normalise, prefix_mark, tag_mark, user_mark
from tests.unit.semantic_cache.entries import scope
from tests.unit.semantic_cache.properties import seeded

scopes = st.builds(
    Scope,
    tenant_id=st.text("t1:", min_size=1, max_size=4),
    user_id=st.text("u1:", max_size=4),
    personal=st.booleans(),
    tier=st.integers(min_value=0, max_value=3),
    model=st.text("m1:", max_size=4),
    instructions_fingerprint=st.text("f1:", max_size=4),
    tools_fingerprint=st.text("f1:", max_size=4),
    language=st.text("f1:", max_size=4),
    context_fingerprint=st.text("f1:", max_size=4),
)


def effective(one: Scope) -> Scope:
    """The user counts in personal scopes only."""
    return one if one.personal else replace(one, user_id="")


@given(scopes, scopes)
@seeded
def test_only_equal_scopes_share_a_digest(one: Scope, two: Scope) -> None:
    assert (one.digest() == two.digest()) == (effective(one) == effective(two))


@given(scopes, scopes)
@seeded
def test_a_mark_stands_for_every_scope_that_begins_alike_and_for_no_other(one: Scope, two: Scope) -> None:
    for length, mark in enumerate(one.marks(), start=1):
        assert (mark in two.marks()) == (one.path()[:length] == two.path()[:length])


@given(scopes)
@seeded
def test_the_path_ends_where_the_scope_does(one: Scope) -> None:
    # Were a field missing from the path, no prefix could name it.
    assert len(one.path()) == len(fields(Scope)) - 2
    assert one.marks()[-1] == prefix_mark(one.path())


def test_marks_of_different_kinds_never_meet() -> None:
    assert len({prefix_mark(("x",)), tag_mark("x"), user_mark("x"), tag_mark("1:x"), user_mark("1:x")}) == 5


@pytest.mark.parametrize(
    "other",
    [
        scope(tenant="t2"),
        scope(tier=2),
        scope(model="m"),
        scope(instructions="f"),
        scope(tools="f"),
        scope(language="de"),
        scope(context="f"),
        scope(personal=True),
    ],
)
def test_every_part_of_a_scope_separates(other: Scope) -> None:
    assert ask(scope(), "hello").key.entry != ask(other, "hello").key.entry


def test_users_share_what_is_not_personal_and_nothing_else() -> None:
    assert ask(scope(user="u1"), "hello").key == ask(scope(user="u2"), "hello").key
    mine, theirs = scope(user="u1", personal=True), scope(user="u2", personal=True)
    assert ask(mine, "hello").key.entry != ask(theirs, "hello").key.entry
    assert ask(scope(), "hello").shared
    assert not ask(mine, "hello").shared


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
