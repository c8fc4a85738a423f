from hypothesis import given
from hypothesis import strategies as st

from services.model_simulator.completion import complete, split


@given(st.text())
def test_pieces_join_to_the_text(text: str) -> None:
    assert "".join(split(text)) == text


@given(st.text(), st.integers(0, 50), st.lists(st.text(min_size=1, max_size=3), max_size=3))
def test_an_answer_never_exceeds_its_bounds(text: str, max_tokens: int, stops: list[str]) -> None:
    completion = complete(text, max_tokens, tuple(stops))
    assert completion.tokens <= max_tokens
    assert text.startswith(completion.text)
    assert not any(stop in completion.text for stop in stops)


def test_stops_at_the_earliest_stop_sequence() -> None:
    completion = complete("one two three four", 100, ("four", "three", "nine"))
    assert (completion.text, completion.stop_reason, completion.stop_sequence) == (
        "one two ",
        "stop_sequence",
        "three",
    )


def test_max_tokens_comes_before_a_later_stop_sequence() -> None:
    completion = complete("one two three four", 2, ("four",))
    assert (completion.text, completion.stop_reason, completion.stop_sequence) == ("one two", "max_tokens", None)


def test_a_short_answer_ends_its_turn() -> None:
    assert complete("one two", 2, ()).stop_reason == "end_turn"


def test_no_tokens_allowed_is_no_answer() -> None:
    assert complete("one", 0, ()).pieces == ()
