"""How the API server says no: the operator's own error, with the body that Kubernetes sends."""

from __future__ import annotations

from statefulrollout.errors import ApiError, api_error_of


def refused(status: int, reason: str, message: str, retry_after: float | None = None) -> ApiError:
    """An error of the API server as the operator's client raises it."""
    body = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": status, "reason": reason}
    return api_error_of(status, {**body, "message": message}, retry_after=retry_after)


def conflict(message: str) -> ApiError:
    """409: a precondition does not hold."""
    return refused(409, "Conflict", message)


def invalid(message: str) -> ApiError:
    """422: the object is not valid."""
    return refused(422, "Invalid", message)
