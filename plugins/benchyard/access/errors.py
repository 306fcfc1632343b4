"""What can be wrong with what is asked about users.

AccessError
 |- AccessInvalid    a value cannot be used: answer 400 and name the field
 |- TooManyLogins    the address or the name has failed too often: answer 429, wait
"""


class AccessError(Exception):
    """Something about users was refused; the message is one line for people."""


class AccessInvalid(AccessError):
    """A value cannot be used; `field` names it."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


class TooManyLogins(AccessError):
    """Too many logins have failed; the next try is looked at after `wait_s` seconds."""

    def __init__(self, wait_s: float) -> None:
        super().__init__(f"too many failed logins; try again in {wait_s:.0f} s")
        self.wait_s = wait_s
