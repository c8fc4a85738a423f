"""What a provider's failure means: is another model worth a try, and what does the caller read?

Anthropic documents its errors at https://platform.claude.com/docs/en/api/errors. Inside a stream they come with HTTP
status 200, so the type decides; the status decides only where there is no known type.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from libs.core.errors import Reason


@dataclass(frozen=True, slots=True)
class Failure:
    """One failed try."""

    label: str
    """The provider's word for it, such as `overloaded_error`; few values, fit for a metric's label."""
    reason: Reason
    """What the caller reads if this is the end of it."""
    try_next: bool
    """Whether another model may do better; a refused key or a faulty request is the same for all."""
    retry_after: float | None = None
    """Seconds, if the provider said."""


TIMEOUT: Final = Failure("timeout", Reason.MODEL_UNAVAILABLE, try_next=True)
"""Nothing came in time."""
CONNECTION: Final = Failure("connection_error", Reason.MODEL_UNAVAILABLE, try_next=True)
"""The provider was not reached, or the connection broke off."""
MALFORMED: Final = Failure("malformed_response", Reason.MODEL_BAD_RESPONSE, try_next=True)
"""What came is not an answer."""

# By error type: the caller's reason, and whether another model may do better.
_BY_TYPE: Final[Mapping[str, tuple[Reason, bool]]] = {
    "overloaded_error": (Reason.MODEL_UNAVAILABLE, True),
    "api_error": (Reason.MODEL_UNAVAILABLE, True),
    "timeout_error": (Reason.MODEL_UNAVAILABLE, True),
    "conflict_error": (Reason.MODEL_UNAVAILABLE, True),
    # A model that was retired while our catalogue still names it: the others are still there.
    "not_found_error": (Reason.MODEL_UNAVAILABLE, True),
    # Limits are per class of models.
    "rate_limit_error": (Reason.MODEL_RATE_LIMITED, True),
    "authentication_error": (Reason.MODEL_REFUSED_KEY, False),
    "permission_error": (Reason.MODEL_REFUSED_KEY, False),
    "billing_error": (Reason.SPEND_LIMIT_REACHED, False),
    "invalid_request_error": (Reason.MODEL_REJECTED, False),
    "request_too_large": (Reason.CONTEXT_TOO_LONG, False),
}

_TYPE_OF_STATUS: Final[Mapping[int, str]] = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    408: "timeout_error",
    409: "conflict_error",
    413: "request_too_large",
    429: "rate_limit_error",
    504: "timeout_error",
    529: "overloaded_error",
}

# enforced_, contract_ and linked_organization_spend_limit_reached: money, not load; no model and no waiting helps.
_SPEND_LIMIT: Final = "spend_limit_reached"


def classify(status: int, error_type: str, error_code: str = "", retry_after: float | None = None) -> Failure:
    """The meaning of an error answer.

    Args:
        status: HTTP status; 200 for an error event inside a stream.
        error_type: `error.type` of the body; may be empty or unknown.
        error_code: `error.details.error_code` of the body; may be empty.
        retry_after: the header of that name, in seconds.
    """
    if error_code.endswith(_SPEND_LIMIT):
        return Failure(error_code, Reason.SPEND_LIMIT_REACHED, try_next=False)
    label = error_type if error_type in _BY_TYPE else _type_of(status)
    reason, try_next = _BY_TYPE[label]
    return Failure(label, reason, try_next, retry_after)


def _type_of(status: int) -> str:
    known = _TYPE_OF_STATUS.get(status)
    if known is not None:
        return known
    return "invalid_request_error" if 400 <= status < 500 else "api_error"
