"""Processes that end, and end again."""

import pytest

from libs.cli.stack.restarts import Restarts
from libs.testing.clock import ManualClock


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def restarts(clock: ManualClock) -> Restarts:
    return Restarts(clock)


def waited(restarts: Restarts, clock: ManualClock) -> int:
    """Whole seconds until the process that just ended is started again."""
    for seconds in range(100):
        if restarts.due("auth-0"):
            return seconds
        clock.advance(1.0)
    raise AssertionError("never started again")


def test_each_end_waits_longer_up_to_half_a_minute(restarts: Restarts, clock: ManualClock) -> None:
    assert [waited(restarts, clock) for _ in range(8)] == [1, 2, 4, 8, 16, 30, 30, 30]
    assert restarts.counts["auth-0"] == 8


def test_who_served_for_a_minute_starts_over(restarts: Restarts, clock: ManualClock) -> None:
    for _ in range(4):
        waited(restarts, clock)
    restarts.served("auth-0", True)
    clock.advance(60.0)
    restarts.served("auth-0", True)

    assert waited(restarts, clock) == 1


def test_a_minute_with_a_break_in_it_is_none(restarts: Restarts, clock: ManualClock) -> None:
    for _ in range(2):
        waited(restarts, clock)
    for serving in (True, False, True):
        restarts.served("auth-0", serving)
        clock.advance(40.0)
    restarts.served("auth-0", True)

    assert waited(restarts, clock) == 4


def test_processes_do_not_wait_for_each_other(restarts: Restarts, clock: ManualClock) -> None:
    for _ in range(3):
        waited(restarts, clock)

    assert not restarts.due("memory-0")
    clock.advance(1.0)
    assert restarts.due("memory-0")
