"""What codespeed's answers mean: saved, too large, refused, or nobody knows."""

import re

from benchyard.publish.destinations import Refused, TryLater
from benchyard.publish.http import PASSING, Answer, one_line
from benchyard.publish.settings import Codespeed

_SAVED = b"All result data saved successfully"

# Redirections that are for this moment only: of a server in maintenance, say.
_ELSEWHERE_NOW = frozenset({302, 303, 307})

_SECRET_PARTS = re.compile(r"(?<=//)[^/@]*@|[?#].*")


class TooLarge(Exception):
    """The server takes no body of this size, or may not: its words."""


def check_saved(answer: Answer, settings: Codespeed, secret: str) -> None:
    """Return where codespeed itself says that all is saved; raises Refused, TryLater or TooLarge for all else.

    `secret` is the name of the password, for words of what to do. What is half saved is not saved: codespeed keeps the
    items before a bad one, and is sent the same again, which changes nothing.
    """
    status, body = answer.status, answer.body.strip()
    words = f"codespeed said {answer.words}"
    if status == 202 and body.startswith(_SAVED):
        return
    if status < 300:
        raise TryLater(
            f"{words}; these are not its own words, so something before it has answered", answer.retry_after_s
        )
    if status >= 500 or status in PASSING or status in _ELSEWHERE_NOW:
        raise TryLater(words, answer.retry_after_s)
    if status == 413 or (status == 400 and not _is_codespeeds(body)):
        raise TooLarge(words)
    raise Refused(f"{words}; {remedy}" if (remedy := _remedy(answer, settings, secret)) else words)


def _is_codespeeds(body: bytes) -> bool:
    """Whether it said this itself: its own words are bare, those of what it is built on and runs behind are pages."""
    return bool(body) and not body.startswith(b"<")


def _remedy(answer: Answer, settings: Codespeed, secret: str) -> str:
    """What to do about a refusal; empty where nothing but its words is known."""
    body = answer.body.strip()
    match answer.status:
        case 301 | 308:
            there = one_line(_SECRET_PARTS.sub("", answer.headers.get("location", "")), 120)
            return f"set `url` to where it is now: {there}"
        case 400 if body.startswith(b"Environment ") and body.endswith(b" not found"):
            return "make that environment in codespeed's admin pages, or set `environments` to what it is called there"
        case 401 if not settings.user:
            return f"set `user`, and give the lab the secret {secret}"
        case 403 if body.startswith(b"Secure connection"):
            return "set `url` to its https address"
        case 401 | 403 if settings.user:
            return f"the user {settings.user!r} with the password in the secret {secret} may not send results there"
        case 403 | 404 | 405:
            return f"is `url` = {settings.url!r} the root of a codespeed?"
    return ""
