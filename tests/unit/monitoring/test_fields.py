from hypothesis import given

from services.monitoring.adapters.fields import decode, encode
from services.monitoring.aggregate import aggregate
from services.monitoring.events import Event
from services.monitoring.tally import Tally
from tests.unit.monitoring.test_aggregate import NOW, recent_events


@given(recent_events)
def test_a_tally_survives_its_way_through_a_hash(events: list[Event]) -> None:
    for batch in aggregate(events, NOW):
        for tally in batch.tallies.values():
            assert decode({field.encode(): b"%d" % amount for field, amount in encode(tally)}) == tally


def test_nothing_is_no_field() -> None:
    assert encode(Tally()) == []
    assert decode({}) == Tally()


def test_a_field_of_a_newer_version_is_passed_over() -> None:
    assert decode({b"n": b"3", b"zebra": b"1", b"Mz:claude": b"1"}).turns == 3
