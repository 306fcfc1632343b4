"""What can go wrong between a client and a lab, one class for each thing a caller can do about it.

    ClientError
    ├── ConfigError      the user's configuration names no lab, or cannot be read: mend it, or log in
    ├── Invalid          400, 413, 422: the request makes no sense to the lab; `field` names the part, if it said
    ├── Unauthorized     401: no token, or one the lab does not take: log in
    ├── Forbidden        403: the token's user may not do this
    ├── NotFound         404: there is no such user, host, job, queue or result
    ├── Conflict         409: the state of what it is about does not allow this now
    │   └── Stale        412: it has changed since it was read: read it again, then decide
    ├── TooMany          429: too many requests or failed logins: wait `retry_after` seconds
    ├── Unavailable      nobody answers, or 502, 503, 504: try again later
    ├── ServerError      any other answer that is not one of a lab in order
    └── WaitTimeout      the job did not end within the time given to wait(); it goes on

The message is the `detail` the lab gave, one line, and holds no token.
"""


class ClientError(Exception):
    """Base of all errors of the client library; `status` is the HTTP status, None without an answer."""

    def __init__(self, message: str, *, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


class ConfigError(ClientError):
    """The configuration of the user names no lab, or is not readable as one."""


class Invalid(ClientError):
    """The lab refused the content of the request; `field` is the name of the part it refused, or None."""

    def __init__(self, message: str, *, status: int | None = None, field: str | None = None) -> None:
        super().__init__(message, status=status)
        self.field = field


class Unauthorized(ClientError):
    """The lab wants a token, or does not know the one it got."""


class Forbidden(ClientError):
    """The user of the token is not allowed to do this."""


class NotFound(ClientError):
    """What was asked for does not exist in the lab."""


class Conflict(ClientError):
    """The request is sound, but not in the present state of what it concerns."""


class Stale(Conflict):
    """What was to be changed has changed since it was read; nothing was done."""


class TooMany(ClientError):
    """The lab wants to be left in peace for `retry_after` seconds, if it said how long."""

    def __init__(self, message: str, *, status: int | None = None, retry_after: float | None = None) -> None:
        super().__init__(message, status=status)
        self.retry_after = retry_after


class Unavailable(ClientError):
    """The lab did not answer, or something in front of it said that it is away."""


class ServerError(ClientError):
    """The answer is not one of a lab in order: a fault of the lab, or an address that is not a lab's."""


class WaitTimeout(ClientError, TimeoutError):
    """The time given for waiting is over and the job has not ended; the job itself goes on."""
