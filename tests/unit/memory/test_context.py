from hypothesis import given
from hypothesis import strategies as st

from services.memory.context import Context, Role, Spoken, choose
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
    assert choose(HISTORY, 19) == Context((), 0, 0)


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
    smaller, larger = choose(history, budget).messages, choose(history, budget + 50).messages
    assert larger[len(larger) - len(smaller) :] == smaller
