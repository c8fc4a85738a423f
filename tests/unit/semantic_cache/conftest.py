import pytest

from libs.testing.clock import ManualClock
from tests.unit.semantic_cache.fake_store import FakeEntryStore
from tests.unit.semantic_cache.replica import Replica, replica


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def store(clock: ManualClock) -> FakeEntryStore:
    return FakeEntryStore(clock)


@pytest.fixture
async def cache(clock: ManualClock, store: FakeEntryStore) -> Replica:
    """A replica that hears what is invalidated: for as long as no time passes."""
    made = replica(clock, store)
    await made.hear()
    return made
