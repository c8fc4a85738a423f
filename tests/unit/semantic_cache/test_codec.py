import struct
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from services.semantic_cache.adapters import codec, keys
from services.semantic_cache.entry import Alias, Entry, Usage
from services.semantic_cache.index.member import Member
from services.semantic_cache.index.similarity import unit
from services.semantic_cache.scope import Scope, ask
from tests.unit.semantic_cache.properties import seeded

DIMENSION = 4
# What Redis puts before an entry: kind and epoch.
STAMP = b"\x02e" + struct.pack("<q", 1_700_000_000_000_000)

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
    asked_at=st.integers(min_value=0, max_value=2**53),
    marks=st.lists(st.binary(min_size=8, max_size=8), max_size=23).map(tuple),
    pieces=st.lists(st.integers(min_value=0, max_value=2**32 - 1) | st.integers(0, 300), max_size=20).map(tuple),
)
aliases = st.builds(
    Alias,
    target=st.binary(min_size=20, max_size=20),
    group=st.binary(min_size=8, max_size=8),
    similarity=st.floats(min_value=-1, max_value=1),
    features=st.binary(max_size=100),
)


def names_of(tenant: str) -> set[str]:
    key = ask(Scope(tenant, "u", personal=False), "text").key
    return {
        keys.entry(key),
        keys.floors(tenant),
        keys.lease(key),
        *keys.members(key, "m"),
        keys.owned(tenant, "u"),
        keys.outcomes(tenant, "m"),
        keys.reported(tenant, "r"),
        keys.counters(tenant),
    }


@given(entries)
@seeded
def test_an_entry_comes_back(entry: Entry) -> None:
    assert codec.decode_entry(STAMP + codec.encode_entry(entry)) == entry


@given(entries, st.integers(min_value=1, max_value=40))
@seeded
def test_what_is_cut_short_or_of_another_version_is_no_entry(entry: Entry, cut: int) -> None:
    stored = STAMP + codec.encode_entry(entry)
    assert codec.decode_entry(stored[:-cut]) is None
    assert codec.decode_entry(stored + b"x") is None
    assert codec.decode_entry(b"\x01" + stored[1:]) is None


@given(entries, st.data())
@seeded
def test_no_bytes_are_an_error(entry: Entry, data: st.DataObject) -> None:
    stored = bytearray(STAMP + codec.encode_entry(entry))
    for at in data.draw(st.lists(st.integers(0, len(stored) - 1), max_size=4)):
        stored[at] = data.draw(st.integers(0, 255))
    codec.decode_entry(bytes(stored))
    codec.decode_alias(b"\x02a" + bytes(stored[2:]))


@pytest.mark.parametrize("marks", [(b"short",), (b"12345678",) * 256])
def test_marks_that_scripts_could_not_read_are_refused(marks: tuple[bytes, ...]) -> None:
    entry = Entry("q", "a", "m", Usage(), 0, 1.0, 2.0, asked_at=3, marks=())
    with pytest.raises(ValueError, match="marks"):
        codec.encode_entry(replace(entry, marks=marks))


@given(aliases, st.text(max_size=40))
@seeded
def test_an_alias_comes_back(alias: Alias, space: str) -> None:
    stored = codec.encode_alias(alias, space)
    assert codec.decode_alias(stored) == alias
    assert codec.decode_alias(b"\x01" + stored[1:]) is None
    assert codec.decode_alias(stored[: 43 + len(space.encode())]) is None
    assert codec.decode_entry(stored) is None


@given(st.binary(max_size=200))
@seeded
def test_foreign_bytes_are_nothing(stored: bytes) -> None:
    assert codec.decode_entry(stored) is None
    assert codec.decode_alias(stored) is None
    assert codec.decode_member(b"e" * 20, stored, 64) is None


def test_a_member_comes_back() -> None:
    vector = np.array([0.5, -0.5, 0.5, 0.5], np.float32)
    member = Member(b"e" * 20, b"g" * 8, vector, 10.25, 12.5)
    read = codec.decode_member(member.entry, codec.encode_member(member), DIMENSION)
    assert read is not None
    assert (read.entry, read.group, read.created_at, read.expires_at) == (b"e" * 20, b"g" * 8, 10.25, 12.5)
    assert np.array_equal(read.vector, vector)
    assert codec.decode_member(member.entry, codec.encode_member(member), DIMENSION + 1) is None


@pytest.mark.parametrize("components", [(0, 0, 0, 0), (np.nan, 1, 0, 0), (1, 0, np.inf, 0), (-np.inf, 0, 0, 1)])
def test_a_vector_that_no_index_could_take_is_no_member(components: tuple[float, ...]) -> None:
    member = Member(b"e" * 20, b"g" * 8, np.array(components, np.float32), 10.25, 12.5)
    assert codec.decode_member(member.entry, codec.encode_member(member), DIMENSION) is None


@given(st.binary(min_size=40, max_size=40))
@seeded
def test_whatever_is_read_as_a_member_an_index_can_take(stored: bytes) -> None:
    read = codec.decode_member(b"e" * 20, stored, DIMENSION)
    assert read is None or np.isfinite(unit(read.vector, DIMENSION)).all()


@given(st.text(min_size=1), st.text(min_size=1))
@seeded
def test_tenants_have_keys_of_their_own_and_one_slot_each(one: str, two: str) -> None:
    first, second = names_of(one), names_of(two)
    assert (one == two) == bool(first & second)
    for names in (first, second):
        assert len(names) == 10
        assert len({name[: name.index("}") + 1] for name in names}) == 1


@given(st.text(min_size=1))
@example("announcements")
@seeded
def test_no_tenant_can_name_the_announcements(tenant: str) -> None:
    assert keys.ANNOUNCEMENTS not in names_of(tenant)
