"""The ledger over slices kept in a dictionary, in virtual time."""

import pytest

from libs.core.errors import MeshError, Reason
from services.monitoring.aggregate import EVERYONE
from services.monitoring.events import Event, ModelCall, Tokens, Turn
from services.monitoring.ledger import UsageLedger
from tests.unit.monitoring.fakes import DictSlices, VirtualClock

NOW = 1_800_000_000.0


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock(NOW)


@pytest.fixture
def store() -> DictSlices:
    return DictSlices()


@pytest.fixture
def ledger(store: DictSlices, clock: VirtualClock) -> UsageLedger:
    return UsageLedger(store, clock)


async def test_a_tenant_sees_its_own_usage_and_an_operator_all(ledger: UsageLedger) -> None:
    events = [Event("ta", NOW, Turn(10.0)), Event("ta", NOW, Turn(30.0)), Event("tb", NOW, Turn(20.0))]

    assert await ledger.record("b1", events) == 3
    assert (await ledger.overview("ta", 300)).total.turns == 2
    assert (await ledger.overview("tb", 300)).total.turns == 1
    assert (await ledger.overview(EVERYONE, 300)).total.turns == 3
    assert (await ledger.overview("tc", 300)).total.turns == 0


async def test_a_batch_that_comes_again_adds_nothing(ledger: UsageLedger) -> None:
    events = [Event("ta", NOW, Turn(10.0))]

    assert await ledger.record("b1", events) == 1
    assert await ledger.record("b1", events) == 0
    assert (await ledger.overview("ta", 300)).total.turns == 1


async def test_events_leave_the_window_as_time_passes(ledger: UsageLedger, clock: VirtualClock) -> None:
    await ledger.record("b1", [Event("ta", NOW, Turn(10.0))])

    clock.advance(295)
    assert (await ledger.overview("ta", 300)).total.turns == 1
    clock.advance(11)
    assert (await ledger.overview("ta", 300)).total.turns == 0
    assert (await ledger.overview("ta", 3600)).total.turns == 1
    clock.advance(25 * 3600)
    assert (await ledger.overview("ta", 24 * 3600)).total.turns == 0


@pytest.mark.parametrize("window", [10, 60, 300, 3600, 86400])
async def test_the_points_add_up_to_the_total(ledger: UsageLedger, clock: VirtualClock, window: float) -> None:
    for second in range(0, 120, 7):
        await ledger.record(f"b{second}", [Event("ta", clock.time(), Turn(5.0, failed=second % 2 == 0))])
        clock.advance(7)
    overview = await ledger.overview("ta", window)

    assert sum(point.tally.turns for point in overview.points) == overview.total.turns > 0
    assert sum(point.tally.errors for point in overview.points) == overview.total.errors
    assert window <= overview.window_seconds <= window + overview.point_seconds


async def test_the_rate_is_that_of_the_last_seconds(ledger: UsageLedger, clock: VirtualClock) -> None:
    for second in range(60):
        await ledger.record(f"b{second}", [Event("ta", clock.time(), Turn(5.0))] * 3)
        clock.advance(1)
    assert (await ledger.overview("ta", 300)).turns_per_second() == pytest.approx(3.0)

    clock.advance(20)
    assert (await ledger.overview("ta", 300)).turns_per_second() == 0.0


async def test_models_come_with_the_most_expensive_first(ledger: UsageLedger) -> None:
    calls = [
        ModelCall("cheap", Tokens(1, 1), 10),
        ModelCall("dear", Tokens(1, 1), 90),
        ModelCall("cheap", cost_usd_micros=5),
    ]
    await ledger.record("b1", [Event("ta", NOW, call) for call in calls])
    overview = await ledger.overview("ta", 300)

    assert [(name, part.calls, part.cost_usd_micros) for name, part in overview.models()] == [
        ("dear", 1, 90),
        ("cheap", 2, 15),
    ]


async def test_a_batch_of_nothing_but_old_events_is_accepted_and_counts_none(ledger: UsageLedger) -> None:
    assert await ledger.record("b1", [Event("ta", NOW - 48 * 3600, Turn(10.0))]) == 0


async def test_a_lost_store_is_an_error_and_not_zeros(ledger: UsageLedger, store: DictSlices) -> None:
    store.down = True

    with pytest.raises(MeshError) as recorded:
        await ledger.record("b1", [Event("ta", NOW, Turn(10.0))])
    with pytest.raises(MeshError):
        await ledger.overview("ta", 300)
    assert recorded.value.reason is Reason.STORE_UNAVAILABLE
    assert recorded.value.retry_after is not None
