import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from services.semantic_cache.entry import Entry, Usage
from services.semantic_cache.exact import ExactCache
from tests.unit.semantic_cache.properties import seeded


def entry(answer: str = "answer", expires_at: float = 100.0) -> Entry:
    return Entry("question", answer, "m", Usage(), 1, 0.0, expires_at)


SIZE = entry().size_bytes


def test_an_entry_lives_until_its_instant_and_no_hit_prolongs_it() -> None:
    cache = ExactCache(10 * SIZE)
    cache.put(b"k", entry(expires_at=100.0))
    for now in (0.0, 50.0, 99.9):
        assert cache.get(b"k", now) is not None
    assert cache.get(b"k", 100.0) is None
    assert cache.statistics().size_bytes == 0


def test_the_least_recently_used_goes_first() -> None:
    cache = ExactCache(2 * SIZE)
    cache.put(b"a", entry())
    cache.put(b"b", entry())
    cache.get(b"a", 0.0)
    cache.put(b"c", entry())
    assert cache.get(b"b", 0.0) is None
    assert cache.get(b"a", 0.0) is not None
    assert cache.statistics().evicted == 1


def test_what_is_larger_than_the_cache_is_not_kept_and_evicts_nothing() -> None:
    cache = ExactCache(2 * SIZE)
    cache.put(b"a", entry())
    cache.put(b"b", entry("x" * 3 * SIZE))
    assert cache.get(b"a", 0.0) is not None
    assert cache.get(b"b", 0.0) is None


def test_a_replaced_entry_is_gone_even_if_the_new_one_does_not_fit() -> None:
    cache = ExactCache(2 * SIZE)
    cache.put(b"a", entry())
    cache.put(b"a", entry("x" * 3 * SIZE))
    assert cache.get(b"a", 0.0) is None


def test_a_negative_bound_is_refused() -> None:
    with pytest.raises(ValueError, match="negative"):
        ExactCache(-1)


class ExactCacheMachine(RuleBasedStateMachine):
    """Against a dictionary: never more than allowed, never an expired or a foreign answer."""

    def __init__(self) -> None:
        super().__init__()
        self.cache = ExactCache(5 * SIZE)
        self.model: dict[bytes, Entry] = {}
        self.now = 0.0

    @rule(key=st.sampled_from([bytes([n]) for n in range(10)]), size=st.integers(0, 900), life=st.floats(1, 50))
    def put(self, key: bytes, size: int, life: float) -> None:
        self.model[key] = entry("x" * size, self.now + life)
        self.cache.put(key, self.model[key])

    @rule(key=st.sampled_from([bytes([n]) for n in range(10)]))
    def get(self, key: bytes) -> None:
        found = self.cache.get(key, self.now)
        if found is not None:
            assert found == self.model[key]
            assert found.expires_at > self.now

    @rule(seconds=st.floats(0, 30))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @invariant()
    def stays_inside_its_bound(self) -> None:
        statistics = self.cache.statistics()
        assert 0 <= statistics.size_bytes <= 5 * SIZE


TestExactCacheMachine = ExactCacheMachine.TestCase
TestExactCacheMachine.settings = settings(seeded, max_examples=50, stateful_step_count=30)
