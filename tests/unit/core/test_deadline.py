from hypothesis import given
from hypothesis import strategies as st

from libs.core.deadline import Deadline
from libs.testing.clock import ManualClock


def test_what_remains_shrinks_to_zero_and_stays_there() -> None:
    clock = ManualClock()
    deadline = Deadline.after(2.0, clock)

    assert deadline.remaining() == 2.0
    clock.advance(1.5)
    assert deadline.remaining() == 0.5
    assert not deadline.expired
    clock.advance(1.5)
    assert deadline.remaining() == 0.0
    assert deadline.expired


@given(st.floats(0, 1e6), st.floats(0, 1e6))
def test_the_sooner_of_two_wins(own: float, other: float) -> None:
    clock = ManualClock()

    chosen = Deadline.after(own, clock).sooner(other)

    assert chosen.at == clock.monotonic() + min(own, other)


def test_a_later_timeout_changes_nothing() -> None:
    deadline = Deadline.after(1.0, ManualClock())

    assert deadline.sooner(5.0) is deadline
