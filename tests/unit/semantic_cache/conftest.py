import pytest

from libs.testing.clock import ManualClock
from tests.unit.semantic_cache.fakes import FakeEntryStore
from tests.unit.semantic_cache.replica import Replica, replica


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def store(clock: ManualClock) -> FakeEntryStore:
    return FakeEntryStore(clock)


@pytest.fixture
def cache(clock: ManualClock, store: FakeEntryStore) -> Replica:
    return replica(clock, store)
