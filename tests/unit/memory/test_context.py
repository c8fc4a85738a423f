import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.core.tokens import estimate_message_tokens
from services.memory.context import Context, Role, Spoken, choose
from services.memory.shortening import shorten
from tests.unit.memory.properties import seeded


def user(text: str, tokens: int = 10) -> Spoken:
    return Spoken(Role.USER, text, tokens)


def assistant(text: str, tokens: int = 10) -> Spoken:
    return Spoken(Role.ASSISTANT, text, tokens)


def texts(context: Context) -> list[str]:
    return [message.content for message in context.messages]


HISTORY = [user("q1"), assistant("a1"), user("q2"), assistant("a2"), user("q3"), assistant("a3")]


def test_everything_fits() -> None:
    context = choose(HISTORY, 60)
    assert texts(context) == ["q1", "a1", "q2", "a2", "q3", "a3"]
    assert context.token_count == 60
    assert context.message_count == 6


def test_the_newest_whole_turns_fill_the_budget() -> None:
    context = choose(HISTORY, 59)
    assert texts(context) == ["q2", "a2", "q3", "a3"]
    assert context.token_count == 40


def test_nothing_fits() -> None:
    long = [user("q" * 1000, 291), assistant("a" * 1000, 291)]
    assert choose(long, 30) == Context((), 0, 0)


LONG = "".join(f"{number} " for number in range(1000))
TOKENS = estimate_message_tokens(LONG)


@pytest.mark.parametrize("budget", [100, 500, 1000])
def test_a_newest_turn_that_is_too_long_keeps_its_beginnings_and_ends(budget: int) -> None:
    context = choose([*HISTORY, user(LONG, TOKENS), assistant(LONG, TOKENS)], budget)
    assert [message.role for message in context.messages] == [Role.USER, Role.ASSISTANT]
    assert context.token_count == sum(estimate_message_tokens(text) for text in texts(context))
    assert budget * 0.8 < context.token_count <= budget
    assert (context.message_count, context.shortened_count) == (2, 2)
    for text in texts(context):
        assert text.startswith("0 1 2 3")
        assert text.endswith("998 999 ")
        beginning, missing, _, _, _, end = re.split(r" \[… ([\d,]+) (characters) (left) (out) …\] ", text)
        assert len(beginning) + int(missing.replace(",", "")) + len(end) == len(LONG)


def test_what_is_short_of_it_stays_whole() -> None:
    short = user("What is a mesh?", estimate_message_tokens("What is a mesh?"))
    context = choose([short, assistant(LONG, TOKENS)], 200)
    assert context.messages[0] is short
    assert context.shortened_count == 1
    assert 160 < context.token_count <= 200
    context = choose([user(LONG, TOKENS), assistant("Yes.", 6)], 200)
    assert texts(context)[1] == "Yes."
    assert 160 < context.token_count <= 200


@given(st.text(min_size=1, max_size=3000), st.integers(1, 400))
@seeded
def test_what_was_shortened_fits(text: str, budget: int) -> None:
    short = shorten(text, budget)
    assert short is None or estimate_message_tokens(short) <= budget


def test_an_older_turn_is_never_shortened() -> None:
    assert texts(choose([user(LONG, TOKENS), assistant(LONG, TOKENS), user("q"), assistant("a")], 500)) == ["q", "a"]


def test_an_empty_history() -> None:
    assert choose([], 100) == Context((), 0, 0)


def test_a_turn_that_does_not_fit_ends_the_choice_so_that_there_is_no_gap() -> None:
    history = [user("small"), assistant("small too"), user("huge", 500), assistant("a2"), user("q3"), assistant("a3")]
    assert texts(choose(history, 100)) == ["q3", "a3"]


def test_an_unanswered_question_is_left_out() -> None:
    context = choose([*HISTORY, user("q4")], 1000)
    assert texts(context)[-1] == "a3"
    assert context.message_count == 6


def test_an_answer_whose_question_was_cut_off_is_left_out() -> None:
    assert texts(choose(HISTORY[1:], 1000)) == ["q2", "a2", "q3", "a3"]


def test_several_messages_of_one_speaker_become_one() -> None:
    context = choose([user("q1"), user("and q2"), assistant("a1"), assistant("a2")], 1000)
    assert texts(context) == ["q1\n\nand q2", "a1\n\na2"]
    assert context.token_count == 40
    assert context.message_count == 4


messages = st.builds(
    Spoken, st.sampled_from(Role), st.text("abc", min_size=1, max_size=3), st.integers(min_value=5, max_value=50)
)


@given(st.lists(messages, max_size=30), st.integers(min_value=1, max_value=600))
@seeded
def test_any_history_gives_an_alternating_context_inside_the_budget(history: list[Spoken], budget: int) -> None:
    context = choose(history, budget)
    roles = [message.role for message in context.messages]
    assert roles == [Role.USER, Role.ASSISTANT] * (len(roles) // 2)
    assert context.token_count == sum(message.tokens for message in context.messages) <= budget
    assert context.message_count <= len(history)


@given(st.lists(messages, max_size=30), st.integers(min_value=1, max_value=600))
@seeded
def test_a_larger_budget_only_adds_older_messages(history: list[Spoken], budget: int) -> None:
    if choose(history, budget).shortened_count:
        return
    smaller, larger = choose(history, budget).messages, choose(history, budget + 50).messages
    assert larger[len(larger) - len(smaller) :] == smaller
