import pytest

from libs.core.errors import Reason
from services.model_router.adapters.messages_api import failure_of, stream_failure
from services.model_router.failures import classify


@pytest.mark.parametrize(
    ("status", "error_type", "reason", "try_next"),
    [
        (400, "invalid_request_error", Reason.MODEL_REJECTED, False),
        (401, "authentication_error", Reason.MODEL_REFUSED_KEY, False),
        (402, "billing_error", Reason.SPEND_LIMIT_REACHED, False),
        (403, "permission_error", Reason.MODEL_REFUSED_KEY, False),
        (404, "not_found_error", Reason.MODEL_UNAVAILABLE, True),
        (409, "conflict_error", Reason.MODEL_UNAVAILABLE, True),
        (413, "request_too_large", Reason.CONTEXT_TOO_LONG, False),
        (429, "rate_limit_error", Reason.MODEL_RATE_LIMITED, True),
        (500, "api_error", Reason.MODEL_UNAVAILABLE, True),
        (504, "timeout_error", Reason.MODEL_UNAVAILABLE, True),
        (529, "overloaded_error", Reason.MODEL_UNAVAILABLE, True),
    ],
)
def test_what_the_provider_documents(status: int, error_type: str, reason: Reason, try_next: bool) -> None:
    # By type, as inside a stream, and by status, as from a proxy that speaks no JSON.
    for failure in (classify(200, error_type), classify(status, ""), classify(status, error_type)):
        assert (failure.label, failure.reason, failure.try_next) == (error_type, reason, try_next)


@pytest.mark.parametrize(
    ("status", "label"), [(418, "invalid_request_error"), (502, "api_error"), (503, "api_error"), (200, "api_error")]
)
def test_what_it_does_not_document_goes_by_the_status_class(status: int, label: str) -> None:
    assert classify(status, "brand_new_error").label == label


def test_a_spend_limit_is_not_a_rate_limit() -> None:
    failure = classify(429, "rate_limit_error", "enforced_spend_limit_reached")
    assert failure.reason is Reason.SPEND_LIMIT_REACHED
    assert not failure.try_next
    assert failure.retry_after is None


def test_other_codes_of_a_429_are_rate_limits() -> None:
    assert classify(429, "rate_limit_error", "ramp_limit_exceeded", 7.0).retry_after == 7.0


def test_an_error_event_is_read_from_its_body() -> None:
    failure = stream_failure('{"type": "error", "error": {"type": "overloaded_error", "message": "..."}}')
    assert failure.label == "overloaded_error"


@pytest.mark.parametrize("body", [None, "", "<html>", [], {}, {"error": 3}, {"error": {"type": 7, "details": "x"}}])
def test_any_body_can_be_classified(body: object) -> None:
    assert failure_of(529, body).label == "overloaded_error"


def test_an_error_event_that_is_no_json_is_a_server_error() -> None:
    assert stream_failure("oops").label == "api_error"
