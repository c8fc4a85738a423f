import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from services.semantic_cache.adapters import codec, keys
from services.semantic_cache.entry import Entry, Usage
from services.semantic_cache.scope import ask
from tests.unit.semantic_cache.fakes import DIMENSION, vector_of
from tests.unit.semantic_cache.properties import seeded
from tests.unit.semantic_cache.replica import scope

amounts = st.integers(min_value=0, max_value=2**62)
times = st.floats(min_value=0, max_value=1e11)
entries = st.builds(
    Entry,
    question=st.text(),
    answer=st.text(),
    model=st.text(),
    usage=st.builds(Usage, amounts, amounts, amounts, amounts),
    cost_usd_micros=amounts,
    created_at=times,
    expires_at=times,
    similarity=st.floats(min_value=0, max_value=1),
)


@given(entries)
@seeded
def test_an_entry_comes_back(entry: Entry) -> None:
    assert codec.decode_entry(codec.encode_entry(entry)) == entry


@given(entries, st.integers(min_value=1, max_value=40))
@seeded
def test_what_is_cut_short_or_of_another_version_is_no_entry(entry: Entry, cut: int) -> None:
    stored = codec.encode_entry(entry)
    assert codec.decode_entry(stored[:-cut]) is None
    assert codec.decode_entry(stored + b"x") is None
    assert codec.decode_entry(b"\x02" + stored[1:]) is None


@given(st.binary(max_size=200))
@seeded
def test_foreign_bytes_are_no_vector(stored: bytes) -> None:
    assert codec.decode_member(b"e", stored, DIMENSION) is None


def test_a_vector_comes_back() -> None:
    vector = vector_of("hello")
    member = codec.decode_member(b"e", codec.encode_member(vector, 12.5), DIMENSION)
    assert member is not None
    assert (member.entry, member.expires_at) == (b"e", 12.5)
    assert np.array_equal(member.vector, vector)


@given(st.text(min_size=1), st.text(min_size=1))
@seeded
def test_tenants_have_keys_of_their_own_and_one_slot_each(one: str, two: str) -> None:
    keys_of = [
        {keys.entry(key), keys.order(key, "m"), keys.vectors(key, "m"), keys.counters(tenant)}
        for tenant in (one, two)
        for key in (ask(scope(tenant=tenant), "text").key,)
    ]
    assert (one == two) == bool(keys_of[0] & keys_of[1])
    assert len({key[: key.index("}") + 1] for key in keys_of[0]}) == 1
