import uuid
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from libs.core.ids import is_uuid, new_request_id, random_id, sortable_id
from libs.testing.clock import ManualClock

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


@given(st.integers(0, 40))
def test_ids_are_made_of_crockford_base_32(characters: int) -> None:
    made = random_id("t", characters)

    assert len(made) == 1 + characters
    assert set(made[1:]) <= set(CROCKFORD)
    assert set(sortable_id("job", ManualClock())[4:]) <= set(CROCKFORD)


def test_every_character_is_equally_likely() -> None:
    counts = Counter(random_id("", 64_000))

    # 2,000 of each are expected; 6 standard deviations (44.0) are missed once in 16 million runs of 32 digits.
    assert set(counts) == set(CROCKFORD)
    assert all(abs(count - 2000) < 6 * 44 for count in counts.values())


@given(st.floats(0, 4e9))
def test_a_sortable_id_begins_with_its_millisecond(instant: float) -> None:
    clock = ManualClock(epoch=instant)
    milliseconds = 0
    for character in sortable_id("msg", clock)[4:14]:
        milliseconds = milliseconds * 32 + CROCKFORD.index(character)

    assert milliseconds == int(clock.time() * 1000)
