"""The errors that the operator itself raises.

    StatefulRolloutError
    ├── InvalidSettings       an environment variable is missing or wrong; says which, and what it should be
    ├── NotLeader             another replica holds the Lease; nothing may be touched any more
    ├── UnusableSecret        a Secret that others keep cannot be served from; says which key, and the remedy
    └── KubeError             the API server did not do what was asked
        ├── Unavailable       no answer: connection, TLS, credentials or time; the call may or may not have happened
        └── ApiError          an answer of 300 or more: status, reason, body
            ├── Forbidden     403: the right was not granted
            ├── NotFound      404
            ├── Conflict      409: AlreadyExists, or a precondition (resourceVersion, UID) that does not hold
            └── Gone          410: a resourceVersion or continue token that is too old; list anew

Every message is one sentence that can go into a log line or a condition as it is. Nothing here imports anything of
the project.
"""

# ruff: noqa: N818 - the names are Kubernetes' words for what happened; "NotFoundError" would say no more.

from __future__ import annotations

from typing import Any


class StatefulRolloutError(Exception):
    """Root of everything that the operator raises on purpose."""


class InvalidSettings(StatefulRolloutError):
    """The environment does not describe an operator that can run."""


class NotLeader(StatefulRolloutError):
    """The Lease is not ours, or its time is over."""


class UnusableSecret(StatefulRolloutError):
    """What others keep in a Secret is not what it shall be; only they can mend it.

    Attributes:
        remedy: what they can do, as one sentence.
    """

    def __init__(self, problem: str, *, remedy: str):
        self.remedy = remedy
        super().__init__(problem)


class KubeError(StatefulRolloutError):
    """The API server did not do what was asked; the next pass looks again."""


class Unavailable(KubeError):
    """There was no answer. A write may have happened all the same."""


class ApiError(KubeError):
    """The API server refused.

    Attributes:
        status: HTTP status code.
        reason: Kubernetes' machine-readable reason (`AlreadyExists`, `Invalid`, ...), empty where it gave none.
        message: what the server said, for humans.
        body: the `Status` object as it came, or what little could be read of something else.
        retry_after: seconds after which the server asks to try again, or None.
    """

    def __init__(self, status: int, body: dict[str, Any], *, request: str = "", retry_after: float | None = None):
        self.status = status
        self.body = body
        self.reason = str(body.get("reason") or "")
        self.message = str(body.get("message") or "")
        self.retry_after = retry_after
        super().__init__(f"{request}: {status} {self.reason}: {self.message}".removeprefix(": "))


class Forbidden(ApiError):
    """The operator has not been given the right to do so."""


class NotFound(ApiError):
    """The object does not exist."""


class Conflict(ApiError):
    """Somebody was faster: read again and decide again."""


class Gone(ApiError):
    """What we continued from is no longer known to the server."""


_BY_STATUS: dict[int, type[ApiError]] = {403: Forbidden, 404: NotFound, 409: Conflict, 410: Gone}


def api_error_of(status: int, body: dict[str, Any], *, request: str = "", retry_after: float | None = None) -> ApiError:
    """Build the error that an answer stands for; `request` names it, as in `PATCH /api/v1/...`."""
    return _BY_STATUS.get(status, ApiError)(status, body, request=request, retry_after=retry_after)
