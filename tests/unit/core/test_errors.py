import grpc
import pytest

from libs.core.errors import Code, FieldViolation, MeshError, Reason, invalid, invalid_fields, not_found


def test_codes_have_the_numbers_of_grpc() -> None:
    assert {code.name: code.value for code in Code} == {code.name: code.value[0] for code in grpc.StatusCode}


def test_no_two_reasons_are_aliases_of_each_other() -> None:
    # Equal catalogue entries would make an enum alias, and the caller would read the other one's name.
    assert len(Reason.__members__) == len(list(Reason))


@pytest.mark.parametrize("reason", list(Reason))
def test_every_reason_can_be_shown(reason: Reason) -> None:
    assert reason.name == reason.name.upper()
    assert reason.code is not Code.OK
    assert reason.value.message.endswith(".")


def test_an_error_without_a_message_speaks_with_its_reasons() -> None:
    error = MeshError(Reason.RATE_LIMITED, retry_after=2.0)

    assert error.message == Reason.RATE_LIMITED.value.message
    assert error.code is Code.RESOURCE_EXHAUSTED
    assert str(error) == f"RATE_LIMITED: {error.message}"


def test_all_faulty_fields_are_named_at_once() -> None:
    error = invalid_fields([FieldViolation("a.b", "is empty"), FieldViolation("c", "is too long")])

    assert error.reason is Reason.INVALID_FIELD
    assert [violation.field for violation in error.violations] == ["a.b", "c"]
    assert error.message == "a.b: is empty; c: is too long"


def test_one_faulty_field() -> None:
    assert invalid("text", "is empty").violations == (FieldViolation("text", "is empty"),)


def test_not_found_does_not_say_whose_it_is() -> None:
    assert not_found("conversation").message == "There is no such conversation."


def test_of_very_many_faults_the_first_are_named() -> None:
    error = invalid_fields([FieldViolation(f"field{number}", "x" * 1000) for number in range(57)])

    assert [violation.field for violation in error.violations] == [f"field{number}" for number in range(20)]
    assert error.message.endswith("; ... and 37 more")
    assert {len(violation.description) for violation in error.violations} == {200}
