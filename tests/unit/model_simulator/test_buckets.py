import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.testing.clock import ManualClock
from services.model_simulator.buckets import TokenBucket


def test_starts_full_and_refills_evenly() -> None:
    clock = ManualClock()
    bucket = TokenBucket(60, clock)
    bucket.take(60)
    assert bucket.wait_for(3) == pytest.approx(3.0)
    clock.advance(2)
    assert bucket.available() == pytest.approx(2.0)
    clock.advance(1000)
    assert bucket.available() == 60


def test_debt_is_paid_off_before_anything_is_there() -> None:
    clock = ManualClock()
    bucket = TokenBucket(60, clock)
    bucket.take(90)
    assert bucket.available() == -30
    assert bucket.wait_for(1) == pytest.approx(31.0)
    assert bucket.full_in() == pytest.approx(90.0)


def test_more_than_it_holds_never_comes() -> None:
    assert TokenBucket(10, ManualClock()).wait_for(11) == math.inf


def test_refuses_a_limit_of_nothing() -> None:
    with pytest.raises(ValueError, match="positive"):
        TokenBucket(0, ManualClock())


@given(st.integers(1, 10_000), st.lists(st.tuples(st.floats(0, 20), st.integers(1, 100)), max_size=40))
def test_never_gives_out_more_than_its_limit(per_minute: int, steps: list[tuple[float, int]]) -> None:
    clock = ManualClock()
    bucket = TokenBucket(per_minute, clock)
    given_out, elapsed = 0, 0.0
    for wait, amount in steps:
        clock.advance(wait)
        elapsed += wait
        if bucket.wait_for(amount) == 0:
            bucket.take(amount)
            given_out += amount
    # What it held at the start and what came in since; the last term is rounding.
    assert given_out <= per_minute * (1 + elapsed / 60) * (1 + 1e-6)


@given(st.integers(1, 10_000), st.floats(0.1, 1.0))
def test_whoever_waits_as_long_as_told_is_let_in(per_minute: int, share: float) -> None:
    clock = ManualClock()
    bucket = TokenBucket(per_minute, clock)
    bucket.take(per_minute)
    clock.advance(bucket.wait_for(per_minute * share))
    assert bucket.wait_for(per_minute * share) <= 1e-6
