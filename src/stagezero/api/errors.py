"""Errors of the API as its callers must tell them apart; each carries Kubernetes' Status.

The client raises them, the server answers with them. HTTP's numbers stay in the transports' one
mapping (`code` is the Status object's own field).
"""

from collections.abc import Sequence
from typing import ClassVar

from stagezero.api.base import Raw


class ApiError(Exception):
    """A refusal by the API: `reason` and `code` as in Kubernetes' Status, and a message to read."""

    reason: ClassVar[str] = "InternalError"
    code: ClassVar[int] = 500

    def __init__(self, message: str, details: Raw | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.details = details

    def status(self) -> Raw:
        """The Status object that the API answers with."""
        raw: Raw = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": self.message,
            "reason": self.reason,
            "code": self.code,
        }
        if self.details:
            raw["details"] = self.details
        return raw


class BadRequest(ApiError):
    """The request cannot be understood."""

    reason, code = "BadRequest", 400


class Unauthorized(ApiError):
    """No or a wrong token."""

    reason, code = "Unauthorized", 401


class Forbidden(ApiError):
    """Understood and refused."""

    reason, code = "Forbidden", 403


class NotFound(ApiError):
    """No such object or path."""

    reason, code = "NotFound", 404


class MethodNotAllowed(ApiError):
    """The resource has no such verb."""

    reason, code = "MethodNotAllowed", 405


class AlreadyExists(ApiError):
    """An object of that name exists."""

    reason, code = "AlreadyExists", 409


class Conflict(ApiError):
    """The object changed since it was read: read again, decide again."""

    reason, code = "Conflict", 409


class Gone(ApiError):
    """The version asked for is compacted: list again."""

    reason, code = "Expired", 410


class Invalid(ApiError):
    """The object breaks its schema or a rule; `causes` name fields."""

    reason, code = "Invalid", 422

    def __init__(
        self, message: str, causes: Sequence[Raw] = (), details: Raw | None = None
    ) -> None:
        details = dict(details or {})
        if causes:
            details["causes"] = list(causes)
        super().__init__(message, details or None)


class TooLarge(ApiError):
    """The request is larger than the server takes."""

    reason, code = "RequestEntityTooLarge", 413


class UnsupportedMediaType(ApiError):
    """A patch or body type that the server does not read."""

    reason, code = "UnsupportedMediaType", 415


class TooManyRequests(ApiError):
    """The server is over its bounds: wait and try again."""

    reason, code = "TooManyRequests", 429


class InternalError(ApiError):
    """The server failed; the request may be tried again."""


class Unavailable(ApiError):
    """The server cannot be reached or is shutting down: try again."""

    reason, code = "ServiceUnavailable", 503


class Denied(ApiError):
    """Admission refused the object; reads as the webhook's denial reads upstream.

    `reason` differs by webhook (Knative's is BadRequest, KServe 0.8's is the message itself), so it
    is data here.
    """

    def __init__(
        self, webhook: str, message: str, reason: str = "Forbidden", code: int = 403
    ) -> None:
        super().__init__(f'admission webhook "{webhook}" denied the request: {message}')
        self._reason, self._code = reason, code

    def status(self) -> Raw:
        """The Status object, with the webhook's own reason and code."""
        return {**super().status(), "reason": self._reason, "code": self._code}


BY_REASON: dict[str, type[ApiError]] = {
    kind.reason: kind
    for kind in (
        BadRequest, Unauthorized, Forbidden, NotFound, MethodNotAllowed, AlreadyExists, Conflict,
        Gone, TooLarge, UnsupportedMediaType, TooManyRequests, InternalError, Unavailable,
    )
}  # fmt: skip


def from_status(status: Raw, http_code: int) -> ApiError:
    """Turn a Status answer back into the error that the server raised."""
    message = str(status.get("message") or f"the server answered {http_code}")
    reason = str(status.get("reason") or "")
    if reason == Invalid.reason:
        return Invalid(message, details=status.get("details"))
    kind = BY_REASON.get(reason)
    if kind is None:
        by_code = {error.code: error for error in BY_REASON.values() if error is not AlreadyExists}
        kind = by_code.get(http_code, InternalError)
    return kind(message, status.get("details"))
