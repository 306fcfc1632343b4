"""What codespeed 0.13.0 needs to ask for a password on the Django that it runs on here."""

from collections.abc import Callable
from typing import Any


class Visitor:
    """Nobody, as codespeed asks for it: since Django 2 `is_authenticated` is no method any more.

    Without this it answers 500 to every post, where not everybody may post.
    """

    def is_authenticated(self) -> bool:
        return False


def mended(get_response: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Middleware for posts of results."""

    def answer(request: Any) -> Any:
        if request.path.startswith("/result/"):
            request.user = Visitor()
        return get_response(request)

    return answer
