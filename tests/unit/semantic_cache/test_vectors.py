import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.semantic_cache.indexes import Indexes, IndexLimits
from services.semantic_cache.scope import Key
from services.semantic_cache.vectors import Member, Vector, VectorIndex
from tests.unit.semantic_cache.properties import seeded

FAR = 1e12


def unit(seed: int, dimension: int = 8) -> Vector:
    vector = np.random.default_rng(seed).standard_normal(dimension).astype(np.float32)
    result: Vector = vector / np.float32(np.linalg.norm(vector))
    return result


def member(seed: int, expires_at: float = FAR) -> Member:
    return Member(seed.to_bytes(4, "big"), unit(seed), expires_at)


def test_the_nearest_come_first() -> None:
    index = VectorIndex(100)
    for seed in range(50):
        index.add(member(seed))
    nearest = index.nearest(unit(7), 3, -1.0, 0.0)
    assert nearest[0].entry == member(7).entry
    assert nearest[0].similarity == pytest.approx(1.0)
    similarities = [neighbour.similarity for neighbour in nearest]
    assert similarities == sorted(similarities, reverse=True)
    assert len(nearest) == 3


def test_what_is_too_far_or_expired_is_not_found() -> None:
    index = VectorIndex(10)
    index.add(member(1, expires_at=100.0))
    assert index.nearest(unit(1), 3, 0.99, 99.0)
    assert index.nearest(unit(1), 3, 0.99, 100.0) == []
    assert index.nearest(-unit(1), 3, 0.0, 0.0) == []


def test_an_empty_index() -> None:
    assert VectorIndex(1).nearest(unit(1), 3, -1.0, 0.0) == []


def test_a_capacity_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="capacity"):
        VectorIndex(0)


@given(st.lists(st.tuples(st.sampled_from(["add", "remove"]), st.integers(0, 30)), max_size=80), st.integers(1, 20))
@seeded
def test_it_finds_what_a_dictionary_would(steps: list[tuple[str, int]], capacity: int) -> None:
    index, expected = VectorIndex(capacity), dict[bytes, Vector]()
    for step, seed in steps:
        entry = member(seed).entry
        expected.pop(entry, None)
        if step == "remove":
            index.remove(entry)
            continue
        if len(expected) == capacity:
            expected.pop(next(iter(expected)))
        expected[entry] = unit(seed)
        index.add(member(seed))
    assert len(index) == len(expected)
    found = {neighbour.entry: neighbour.similarity for neighbour in index.nearest(unit(99), 100, -2.0, 0.0)}
    assert found == {entry: pytest.approx(float(vector @ unit(99)), abs=1e-5) for entry, vector in expected.items()}


def key(scope: int, tenant: str = "t1") -> Key:
    return Key(tenant, bytes([scope]), b"")


def test_scopes_are_dropped_least_recently_used_first() -> None:
    indexes = Indexes(IndexLimits(per_scope=10, scopes=2, vectors=100))
    indexes.add(key(1), member(1))
    indexes.add(key(2), member(2))
    indexes.of(key(1))
    indexes.add(key(3), member(3))
    assert len(indexes.of(key(1)).vectors) == 1
    assert indexes.statistics().scopes == 2
    assert indexes.statistics().vectors == 2
    assert indexes.statistics().evicted_scopes == 1


def test_all_scopes_together_are_bounded() -> None:
    indexes = Indexes(IndexLimits(per_scope=10, scopes=100, vectors=25))
    for scope in range(10):
        for seed in range(10):
            indexes.add(key(scope), member(seed))
    assert indexes.statistics().vectors <= 25
    assert len(indexes.of(key(9)).vectors) == 10


def test_the_count_is_the_tenants_own() -> None:
    indexes = Indexes(IndexLimits())
    indexes.add(key(1, "t1"), member(1))
    indexes.add(key(2, "t1"), member(2))
    indexes.add(key(1, "t2"), member(3))
    indexes.remove(Key("t1", bytes([2]), member(2).entry))
    assert indexes.count("t1") == 1
    assert indexes.count("t3") == 0
