import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.core.money import cost_usd_micros, format_usd

priced = st.lists(st.tuples(st.integers(0, 10**9), st.integers(0, 10**9)), max_size=8)


def test_a_single_token_is_never_free() -> None:
    assert cost_usd_micros((1, 1)) == 1


def test_rounding_happens_once_over_the_sum() -> None:
    assert cost_usd_micros((500_000, 1), (500_000, 1)) == 1


@given(priced)
def test_cost_is_the_exact_sum_rounded_up(pairs: list[tuple[int, int]]) -> None:
    exact = sum(tokens * price for tokens, price in pairs)

    cost = cost_usd_micros(*pairs)

    assert 0 <= cost * 1_000_000 - exact < 1_000_000


@pytest.mark.parametrize("pair", [(-1, 1), (1, -1)])
def test_negative_amounts_are_refused(pair: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="must not be negative"):
        cost_usd_micros(pair)


@pytest.mark.parametrize(
    ("micros", "text"),
    [(0, "$0.00"), (1_250_000, "$1.25"), (4_200, "$0.0042"), (1_234_567_890, "$1,234.57"), (-2_000_000, "$-2.00")],
)
def test_money_for_people(micros: int, text: str) -> None:
    assert format_usd(micros) == text
