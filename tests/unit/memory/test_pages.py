import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.core.errors import MeshError, Reason
from services.memory import pages
from tests.unit.memory.properties import seeded


@given(st.integers(min_value=0, max_value=2**53 - 1), st.text(max_size=40), st.text(max_size=40))
@seeded
def test_a_token_brings_back_its_offset(offset: int, conversation_id: str, request_id: str) -> None:
    token = pages.encode(offset, conversation_id, request_id)
    assert pages.decode(token, conversation_id, request_id) == offset


def test_no_token_is_the_beginning() -> None:
    assert pages.decode("", "c1", "") == 0


@given(st.text(min_size=1, max_size=60))
@seeded
def test_anything_else_is_refused_by_name(token: str) -> None:
    with pytest.raises(MeshError) as raised:
        pages.decode(token, "c1", "")
    assert raised.value.reason is Reason.INVALID_PAGE_TOKEN


@pytest.mark.parametrize(("conversation_id", "request_id"), [("c2", ""), ("c1", "r1")])
def test_a_token_of_another_listing_is_refused(conversation_id: str, request_id: str) -> None:
    with pytest.raises(MeshError) as raised:
        pages.decode(pages.encode(50, "c1", ""), conversation_id, request_id)
    assert raised.value.reason is Reason.INVALID_PAGE_TOKEN
