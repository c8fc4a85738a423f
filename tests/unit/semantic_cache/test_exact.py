import tracemalloc
from dataclasses import replace

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from services.semantic_cache.entry import Alias, Kept
from services.semantic_cache.exact import ExactCache
from tests.unit.semantic_cache.entries import entry
from tests.unit.semantic_cache.properties import seeded


def kept(answer: str = "answer", expires_at: float = 100.0) -> Kept:
    return Kept(entry(answer, expires_at=expires_at))


SIZE = kept().entry.size_bytes


def test_an_entry_lives_until_its_instant_and_no_hit_prolongs_it() -> None:
    cache = ExactCache(10 * SIZE)
    cache.put(b"k", kept(expires_at=100.0))
    for now in (0.0, 50.0, 99.9):
        assert cache.get(b"k", now) is not None
    assert cache.get(b"k", 100.0) is None
    assert cache.statistics() == (0, 0, 0)


def test_the_least_recently_used_goes_first() -> None:
    cache = ExactCache(2 * SIZE)
    cache.put(b"a", kept())
    cache.put(b"b", kept())
    cache.get(b"a", 0.0)
    cache.put(b"c", kept())
    assert cache.get(b"b", 0.0) is None
    assert cache.get(b"a", 0.0) is not None
    assert cache.statistics().evicted == 1


def test_what_is_larger_than_the_cache_is_not_kept_and_evicts_nothing() -> None:
    cache = ExactCache(2 * SIZE)
    cache.put(b"a", kept())
    cache.put(b"b", kept("x" * 3 * SIZE))
    assert cache.get(b"a", 0.0) is not None
    assert cache.get(b"b", 0.0) is None


def test_a_replaced_entry_is_gone_even_if_the_new_one_does_not_fit() -> None:
    cache = ExactCache(2 * SIZE)
    cache.put(b"a", kept())
    cache.put(b"a", kept("x" * 3 * SIZE))
    assert cache.get(b"a", 0.0) is None


def test_what_is_removed_or_cleared_is_gone_and_counts_as_no_eviction() -> None:
    cache = ExactCache(10 * SIZE)
    for key in (b"a", b"b", b"c"):
        cache.put(key, kept())
    cache.remove(b"a")
    cache.remove(b"a")
    assert cache.get(b"a", 0.0) is None
    cache.clear()
    assert cache.get(b"b", 0.0) is None
    assert cache.statistics() == (0, 0, 0)


def test_no_memory_keeps_nothing() -> None:
    cache = ExactCache(0)
    cache.put(b"a", kept())
    assert cache.get(b"a", 0.0) is None


@pytest.mark.parametrize("marks", [8, 24])
@pytest.mark.parametrize("piece", [5, 5_000])
@pytest.mark.parametrize("text", ["x" * 20, "\U0001f600" * 2_000])
def test_it_takes_about_as_much_memory_as_it_says(marks: int, piece: int, text: str) -> None:
    # Objects of their own, as they come from the wire; the keys are 20-byte digests.
    def own(number: int) -> Kept:
        bytes_ = tuple((number * 100 + mark).to_bytes(8, "big") for mark in range(marks))
        made = replace(entry(f"{text}{number}", marks=bytes_), pieces=tuple(piece + at for at in range(40)))
        return Kept(made, Alias(number.to_bytes(20, "big"), number.to_bytes(8, "big"), number / 7, bytes(60)))

    cache = ExactCache(1 << 30)
    tracemalloc.start()
    for number in range(300):
        cache.put(number.to_bytes(20, "little"), own(number))
    taken, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert 0.6 * taken < cache.statistics().size_bytes < 1.6 * taken


def test_a_negative_bound_is_refused() -> None:
    with pytest.raises(ValueError, match="negative"):
        ExactCache(-1)


keys = st.sampled_from([bytes([number]) for number in range(10)])


class ExactCacheMachine(RuleBasedStateMachine):
    """Against a dictionary: never more than allowed, never an expired or a foreign answer, none lost in vain."""

    def __init__(self) -> None:
        super().__init__()
        self.cache = ExactCache(5 * SIZE)
        self.model: dict[bytes, Kept] = {}
        self.now = 0.0

    @rule(key=keys, size=st.integers(0, 900), life=st.floats(1, 50))
    def put(self, key: bytes, size: int, life: float) -> None:
        evicted = self.cache.statistics().evicted
        self.model[key] = kept("x" * size, self.now + life)
        self.cache.put(key, self.model[key])
        if self.cache.statistics().evicted == evicted:
            assert self.cache.get(key, self.now) == self.model[key]

    @rule(key=keys)
    def get(self, key: bytes) -> None:
        found = self.cache.get(key, self.now)
        if found is not None:
            assert found == self.model[key]
            assert found.entry.expires_at > self.now

    @rule(key=keys)
    def remove(self, key: bytes) -> None:
        self.cache.remove(key)
        assert self.cache.get(key, self.now) is None

    @rule(seconds=st.floats(0, 30))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @invariant()
    def stays_inside_its_bound(self) -> None:
        statistics = self.cache.statistics()
        assert 0 <= statistics.size_bytes <= 5 * SIZE


TestExactCacheMachine = ExactCacheMachine.TestCase
TestExactCacheMachine.settings = settings(seeded, max_examples=50, stateful_step_count=30)
