import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.monitoring.slices import COARSE, FINE, MAX_POINTS, plan, slice_of

NOW = 1_800_000_000.0


@given(st.floats(NOW, NOW + 86400), st.floats(10, 86400))
def test_a_plan_covers_the_window_in_few_equal_points_and_little_more(now: float, window: float) -> None:
    planned = plan(now, window)
    end = planned.start + planned.points * planned.point_seconds

    assert planned.points <= MAX_POINTS
    assert planned.start <= now - window < planned.start + planned.point_seconds
    assert end - planned.point_seconds <= now < end
    assert {planned.point_of(part) for part in planned.slices()} == set(range(planned.points))


@given(st.floats(NOW, NOW + 86400), st.floats(10, 86400))
def test_every_slice_of_a_plan_is_still_kept(now: float, window: float) -> None:
    assert all(part.expires_at > now for part in plan(now, window).slices())


@pytest.mark.parametrize(
    ("window", "point_seconds", "tier"),
    [(10, 5, FINE), (300, 5, FINE), (600, 10, FINE), (3540, 30, FINE), (3600, 60, COARSE), (86400, 900, COARSE)],
)
def test_wide_windows_are_read_from_wide_slices(window: float, point_seconds: int, tier: object) -> None:
    planned = plan(NOW, window)

    assert (planned.point_seconds, planned.tier) == (point_seconds, tier)


def test_points_do_not_wander_while_time_passes_inside_one() -> None:
    assert {plan(NOW + step, 86400).start for step in range(900)} == {plan(NOW, 86400).start}


@pytest.mark.parametrize("window", [9.9, 86401])
def test_other_windows_are_refused(window: float) -> None:
    with pytest.raises(ValueError, match="window"):
        plan(NOW, window)


def test_a_slice_holds_its_beginning_and_not_its_end() -> None:
    assert slice_of(FINE, NOW).start == slice_of(FINE, NOW + 4.999).start == NOW
    assert slice_of(FINE, NOW + 5).start == NOW + 5
