from hypothesis import given
from hypothesis import strategies as st

from libs.core.tokens import estimate_message_tokens, estimate_tokens


@given(st.text(), st.text())
def test_longer_text_never_counts_less(text: str, more: str) -> None:
    assert estimate_tokens(text + more) >= estimate_tokens(text) >= 1


def test_scripts_without_spaces_are_not_undercounted() -> None:
    assert estimate_tokens("你好世界" * 10) >= 30


def test_a_message_costs_more_than_its_text() -> None:
    assert estimate_message_tokens("hello") > estimate_tokens("hello")
