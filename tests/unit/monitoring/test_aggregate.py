from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.monitoring.aggregate import EVERYONE, ScopeBatch, aggregate
from services.monitoring.events import Event, ModelCall, Tokens, Turn
from services.monitoring.slices import COARSE, FINE, Slice, Tier
from services.monitoring.tally import Tally

NOW = 1_800_000_000.0

turns = st.builds(
    Turn,
    duration_ms=st.floats(0.1, 60_000),
    failed=st.booleans(),
    cache_hit=st.booleans(),
    degraded=st.booleans(),
    saved_usd_micros=st.integers(0, 10**6),
)
tokens = st.builds(Tokens, *[st.integers(0, 10**6)] * 4)
calls = st.builds(
    ModelCall,
    model=st.sampled_from(["claude-haiku-5-5", "claude-opus-5-5"]),
    tokens=tokens,
    cost_usd_micros=st.integers(0, 10**9),
    failed=st.booleans(),
)
recent_events = st.lists(
    st.builds(Event, st.sampled_from(["ta", "tb", "tc"]), st.floats(NOW - 3500, NOW), st.one_of(turns, calls)),
    max_size=60,
)


def total(batch: ScopeBatch, tier: Tier) -> Tally:
    tally = Tally()
    for part, counted in batch.tallies.items():
        if part.tier == tier:
            tally.merge(counted)
    return tally


def by_scope(events: Sequence[Event]) -> dict[str, ScopeBatch]:
    return {batch.scope: batch for batch in aggregate(events, NOW)}


@given(recent_events)
def test_every_event_counts_once_in_each_tier_for_its_tenant_and_for_all(events: list[Event]) -> None:
    batches = by_scope(events)
    for scope, batch in batches.items():
        expected = Tally()
        for event in events:
            if scope in (EVERYONE, event.tenant_id):
                expected.add(event)
        assert total(batch, FINE) == expected
        assert total(batch, COARSE) == expected
    assert set(batches) == ({event.tenant_id for event in events} | {EVERYONE} if events else set())


def test_an_event_lands_in_the_slice_of_its_time() -> None:
    batch = by_scope([Event("ta", NOW - 63, Turn(12.0))])["ta"]

    assert set(batch.tallies) == {Slice(FINE, int(NOW) - 65), Slice(COARSE, int(NOW) - 120)}


def test_an_event_from_the_future_counts_as_of_now() -> None:
    batch = by_scope([Event("ta", NOW + 3600, Turn(12.0))])["ta"]

    assert set(batch.tallies) == {Slice(FINE, int(NOW)), Slice(COARSE, int(NOW))}


def test_an_event_older_than_the_fine_slices_still_counts_in_the_coarse_ones() -> None:
    batch = by_scope([Event("ta", NOW - 2 * 3600, Turn(12.0))])["ta"]

    assert {part.tier for part in batch.tallies} == {COARSE}


def test_an_event_older_than_everything_kept_is_left_out() -> None:
    batches = by_scope([Event("ta", NOW - 26 * 3600, Turn(12.0)), Event("tb", NOW, Turn(12.0))])

    assert set(batches) == {"tb", EVERYONE}
    assert batches[EVERYONE].event_count == 1


def test_a_model_call_counts_for_its_model_and_not_as_a_turn() -> None:
    call = ModelCall("claude-haiku-5-5", Tokens(10, 20, 30, 40), cost_usd_micros=700, failed=True)
    tally = total(by_scope([Event("ta", NOW, call)])["ta"], FINE)

    assert tally.turns == 0
    assert tally.cost_usd_micros == 700
    assert tally.tokens == Tokens(10, 20, 30, 40)
    assert (tally.models["claude-haiku-5-5"].calls, tally.models["claude-haiku-5-5"].errors) == (1, 1)


def test_a_batch_of_one_moment_is_a_handful_of_sums_however_many_events_it_has() -> None:
    batches = aggregate([Event("ta", NOW, Turn(float(index % 50 + 1))) for index in range(5000)], NOW)

    assert sum(len(batch.tallies) for batch in batches) == 4
    assert batches[0].event_count == pytest.approx(5000)
