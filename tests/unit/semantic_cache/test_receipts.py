import struct

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from libs.core.errors import MeshError, Reason
from services.semantic_cache.receipts import NO_SPACE, Ending, Receipt, bearer_of, unpack
from tests.unit.semantic_cache.properties import seeded

digests = st.binary(min_size=20, max_size=20)
candidates = digests.filter(any)
shares = st.floats(0, 1, width=32)
receipts = st.builds(
    Receipt,
    st.sampled_from(Ending),
    st.integers(0, 2**63 - 1),
    digests,
    digests,
    candidates,
    st.binary(min_size=8, max_size=8),
    st.floats(-1, 1, width=32),
    shares,
    st.floats(2**-100, 1, width=32),
    st.binary(max_size=512),
    st.binary(min_size=8, max_size=8),
)
BEARER = bearer_of("t1", "u1")
SOME = Receipt(Ending.SERVED, 5, bytes(20), bytes(20), b"c" * 20, b"g" * 8, 0.5, 0.25, 0.5, b"features")


@given(receipts)
@seeded
def test_what_went_out_comes_back(receipt: Receipt) -> None:
    assert unpack(receipt.pack(BEARER, receipt.space), BEARER) == receipt


@given(receipts)
@seeded
def test_it_fits_into_what_the_contract_allows(receipt: Receipt) -> None:
    assert len(receipt.pack(BEARER, NO_SPACE)) <= 1024


def test_without_a_candidate() -> None:
    receipt = Receipt(Ending.MISSED, 7, b"s" * 20, b"q" * 20)
    assert unpack(receipt.pack(BEARER, receipt.space), BEARER) == receipt


def test_nothing_is_no_receipt() -> None:
    assert unpack(b"", BEARER) is None


@given(st.binary(min_size=1, max_size=700) | st.binary(max_size=700).map(lambda rest: b"\x02" + BEARER + rest))
@example(b"\x02")
@seeded
def test_any_bytes_are_a_receipt_or_an_invalid_field(sent: bytes) -> None:
    refused: MeshError | None = None
    try:
        unpack(sent, BEARER)
    except MeshError as error:
        refused = error
    assert refused is None or refused.reason is Reason.INVALID_FIELD


@pytest.mark.parametrize(
    ("at", "form", "value"),
    [
        (0, "<B", 1),
        (9, "<B", len(Ending)),
        (10, "<q", -1),
        (86, "<f", float("nan")),
        (86, "<f", 7.0),
        (90, "<f", float("nan")),
        (90, "<f", 1.5),
        (90, "<f", -0.5),
        (94, "<f", float("nan")),
        (94, "<f", 0.0),
        (94, "<f", 1.5),
    ],
)
def test_what_lookup_never_writes_is_refused(at: int, form: str, value: float) -> None:
    forged = bytearray(SOME.pack(BEARER, NO_SPACE))
    assert unpack(bytes(forged), BEARER) == SOME
    struct.pack_into(form, forged, at, value)
    with pytest.raises(MeshError, match="Lookup gave out"):
        unpack(bytes(forged), BEARER)


@pytest.mark.parametrize("thief", [("t2", "u1"), ("t1", "u2"), ("t1u1", ""), ("t", "1u1"), ("", "t1u1")])
def test_nobody_else_can_bring_it_back(thief: tuple[str, str]) -> None:
    with pytest.raises(MeshError) as raised:
        unpack(SOME.pack(BEARER, NO_SPACE), bearer_of(*thief))
    assert raised.value.reason is Reason.INVALID_FIELD


@pytest.mark.parametrize("sent", [SOME.pack(BEARER, NO_SPACE)[:80], SOME.pack(BEARER, NO_SPACE) + bytes(600)])
def test_too_short_and_too_long_ones_are_refused(sent: bytes) -> None:
    with pytest.raises(MeshError, match="Lookup gave out"):
        unpack(sent, BEARER)
