import uuid

from hypothesis import given
from hypothesis import strategies as st
from libs.testing.clock import ManualClock

from libs.core.ids import _base32, is_uuid, new_request_id, random_id, sortable_id

CROCKFORD = "0123456789abcdefghjkmnpqrstvwxyz"


def test_a_new_request_id_is_a_uuid() -> None:
    assert is_uuid(new_request_id())


@given(st.uuids())
def test_canonical_uuids_are_accepted_in_either_case(value: uuid.UUID) -> None:
    assert is_uuid(str(value))
    assert is_uuid(str(value).upper())


@given(st.text(max_size=40))
def test_other_text_is_no_uuid_and_raises_nothing(text: str) -> None:
    if is_uuid(text):
        assert str(uuid.UUID(text)) == text.lower()


def test_braces_and_bare_hex_are_no_canonical_form() -> None:
    value = uuid.UUID(int=7)

    assert not is_uuid(value.hex)
    assert not is_uuid("{" + str(value) + "}")


def test_sortable_ids_sort_by_the_time_they_were_made() -> None:
    clock = ManualClock()
    made = []
    for _ in range(50):
        made.append(sortable_id("job", clock))
        clock.advance(0.001)

    assert made == sorted(made)
    assert all(len(identifier) == len("job_") + 26 for identifier in made)


def test_random_ids_have_the_length_asked_for_and_differ() -> None:
    made = {random_id("t", 9) for _ in range(200)}

    assert len(made) == 200
    assert {len(identifier) for identifier in made} == {10}


@given(st.integers(0, 2**160), st.integers(0, 40))
def test_ids_are_written_in_crockford_base_32(value: int, characters: int) -> None:
    digits = [CROCKFORD[value // 32**place % 32] for place in reversed(range(characters))]

    assert _base32(value, characters) == "".join(digits)


@given(st.floats(0, 4e9))
def test_a_sortable_id_begins_with_its_millisecond(instant: float) -> None:
    clock = ManualClock(epoch=instant)
    milliseconds = 0
    for character in sortable_id("msg", clock)[4:14]:
        milliseconds = milliseconds * 32 + CROCKFORD.index(character)

    assert milliseconds == int(clock.time() * 1000)
