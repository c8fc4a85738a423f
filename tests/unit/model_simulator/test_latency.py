import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.core.rng import new_rng
from services.model_simulator.latency import Latency, Pace


def test_zero_is_no_latency() -> None:
    assert Latency(0, 1, 0, new_rng(1)).draw() == Pace(0, 0)


def test_without_sigma_every_call_takes_the_median() -> None:
    assert Latency(200, 0, 10, new_rng(1)).draw() == Pace(0.2, 0.01)


def test_the_distribution_is_log_normal_around_the_median() -> None:
    latency = Latency(200, 0.5, 0, new_rng(3))
    draws = sorted(latency.draw().first_token for _ in range(4000))
    # exp(1.645 sigma) is 2.28; 4000 draws pin both quantiles to a few per cent.
    assert statistics.median(draws) == pytest.approx(0.2, rel=0.05)
    assert draws[3800] == pytest.approx(0.2 * 2.28, rel=0.08)


def test_the_same_seed_gives_the_same_paces() -> None:
    first, second = Latency(200, 0.5, 1, new_rng(9)), Latency(200, 0.5, 1, new_rng(9))
    assert [first.draw() for _ in range(10)] == [second.draw() for _ in range(10)]


@given(st.floats(0, 10), st.floats(0, 1), st.integers(1, 1000))
def test_a_token_has_arrived_when_it_is_due(first: float, per_token: float, tokens: int) -> None:
    pace = Pace(first, per_token)
    assert pace.arrived(pace.due(tokens - 1), tokens) == tokens
    assert pace.finished(tokens) == pace.due(tokens - 1)


def test_nothing_arrives_before_the_first_token() -> None:
    assert Pace(1.0, 0.1).arrived(0.5, 10) == 0
    assert Pace(1.0, 0.1).arrived(1.25, 10) == 3
    assert Pace(1.0, 0.0).arrived(1.0, 10) == 10
