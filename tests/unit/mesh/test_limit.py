import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from libs.mesh.limit import make_limiter
from libs.mesh.limit.base import Limiter
from libs.mesh.limit.fixed import FixedLimit, FixedLimitOptions
from libs.mesh.limit.gradient2 import Gradient2Limit, Gradient2Options

EACH = Gradient2Options(window=0.0, window_attempts=1)


def observe(limit: Limiter, seconds: float, times: int, in_flight: int = 1000, dropped: bool = False) -> int:
    for _ in range(times):
        limit.observe(seconds, in_flight, dropped, 0.0)
    return limit.limit


def test_a_fixed_limit_stays() -> None:
    limit = make_limiter(FixedLimitOptions(7))
    assert observe(limit, 1.0, 50, dropped=True) == 7
    assert repr(limit) == "<FixedLimit 7>"
    assert limit.statistics().limit == 7


def test_options_choose_the_kind() -> None:
    assert isinstance(make_limiter(FixedLimitOptions()), FixedLimit)
    assert isinstance(make_limiter(Gradient2Options()), Gradient2Limit)


def test_grows_while_latency_is_steady() -> None:
    limit = Gradient2Limit(EACH)
    assert limit.limit == 20
    # Each takes over a fifth of 4 more.
    assert observe(limit, 0.1, 10) == 28
    assert observe(limit, 0.1, 1000) == 200


def test_does_not_grow_while_half_of_it_is_enough() -> None:
    limit = Gradient2Limit(EACH)
    assert observe(limit, 0.1, 100, in_flight=9) == 20
    assert observe(limit, 0.1, 1, in_flight=10) == 20
    assert observe(limit, 0.1, 1, in_flight=11) == 21


def test_shrinks_while_attempts_queue() -> None:
    limit = Gradient2Limit(EACH)
    observe(limit, 0.1, 1000)
    assert observe(limit, 0.14, 10) == 200, "within the tolerance"
    # Gradient 0.5: each takes over a fifth of half the limit less, 4 more, until 0.1 * limit = 0.8.
    assert observe(limit, 1.0, 1) == 180
    assert observe(limit, 1.0, 10) < 100
    assert observe(limit, 1.0, 1000) >= 20


def test_the_long_run_learns_a_new_latency_and_forgets_an_overload_quickly() -> None:
    limit = Gradient2Limit(EACH)
    observe(limit, 0.1, 100)
    observe(limit, 2.0, 2000)
    assert limit.statistics().usual_seconds == pytest.approx(2.0, rel=0.01)
    observe(limit, 0.1, 60)
    assert limit.statistics().usual_seconds < 0.25, "by its weight alone it would still be above 1.6"


def test_what_is_dropped_lowers_it_by_a_tenth() -> None:
    limit = Gradient2Limit(EACH)
    observe(limit, 0.1, 1000)
    assert observe(limit, 0.001, 1, in_flight=1, dropped=True) == 180
    assert limit.statistics().decreases == 1
    assert limit.statistics().usual_seconds == pytest.approx(0.1), "how long it took says nothing"
    assert observe(limit, 0.001, 100, dropped=True) == 20
    assert repr(limit) == "<Gradient2Limit 20, usually 0.1000 s, 101 decreases>"


def test_a_window_counts_once() -> None:
    limit = Gradient2Limit(Gradient2Options(initial=100))
    for at in range(1000):
        limit.observe(0.1, 100, dropped=at % 2 == 0, now=at / 1000)
    assert limit.limit == 100
    limit.observe(0.1, 100, dropped=False, now=1.0)
    assert limit.limit == 90
    assert limit.statistics().decreases == 1


def test_a_window_with_few_attempts_is_prolonged() -> None:
    limit = Gradient2Limit(Gradient2Options())
    for at in range(9):
        limit.observe(0.1, 20, dropped=False, now=at * 10.0)
    assert limit.limit == 20
    assert limit.statistics().usual_seconds == 0
    for at in range(20):
        limit.observe(0.1, 20, dropped=False, now=100.0 + at * 10.0)
    assert limit.limit == 21


def test_an_average_forgives_one_slow_attempt() -> None:
    limit = Gradient2Limit(Gradient2Options(initial=100))
    for at in range(500):
        limit.observe(1.0 if at % 50 == 0 else 0.1, 100, dropped=False, now=at / 50)
    assert limit.limit > 100


observations = st.tuples(st.floats(0.0, 1e6), st.integers(0, 500), st.booleans(), st.floats(0.0, 5.0))


@settings(max_examples=100, derandomize=True, deadline=None)
@given(
    st.lists(observations, max_size=60),
    st.sampled_from([EACH, Gradient2Options(), Gradient2Options(1, 1, 5, smoothing=1.0, queue=0, window_attempts=2)]),
)
def test_stays_within_its_bounds(events: list[tuple[float, int, bool, float]], options: Gradient2Options) -> None:
    limit = Gradient2Limit(options)
    now = 0.0
    for seconds, in_flight, dropped, later in events:
        now += later
        before = limit.limit
        limit.observe(seconds, in_flight, dropped, now)
        assert options.minimum <= limit.limit <= options.maximum
        assert limit.limit <= before + options.queue
        assert limit.limit >= before * 0.5 - 1


def test_names_every_fault() -> None:
    with pytest.raises(ValueError, match=r"minimum <= initial <= maximum.*smoothing.*tolerance"):
        Gradient2Options(initial=10, smoothing=0.0, tolerance=0.5)
    with pytest.raises(ValueError, match="at least 1, got 0"):
        FixedLimitOptions(0)
