"""Failures in Anthropic's vocabulary: an HTTP status, an error type and a sentence."""

from collections.abc import Mapping
from typing import Final

ERROR_TYPES: Final[Mapping[int, str]] = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    409: "conflict_error",
    413: "request_too_large",
    429: "rate_limit_error",
    500: "api_error",
    504: "timeout_error",
    529: "overloaded_error",
}
"""Which error type goes with which status; these are the statuses a fault may answer with."""


class ApiError(Exception):
    """A request that is answered with an error.

    Attributes:
        status: the HTTP status, a key of `ERROR_TYPES`.
        message: what the caller reads.
        headers: sent along with it, such as `retry-after`.
        code: `error.details.error_code`, or empty.
    """

    def __init__(self, status: int, message: str, *, headers: Mapping[str, str] | None = None, code: str = "") -> None:
        self.status: Final = status
        self.message: Final = message
        self.headers: Final[Mapping[str, str]] = headers or {}
        self.code: Final = code
        super().__init__(f"{status} {self.kind}: {message}")

    @property
    def kind(self) -> str:
        """`error.type` of the body."""
        return ERROR_TYPES[self.status]


def bad_request(message: str) -> ApiError:
    """400 invalid_request_error; `message` names the field, as in `max_tokens: Field required`."""
    return ApiError(400, message)
