"""What the real codespeed 0.13.0 answers, and what that means."""

import json
import urllib.parse
from collections.abc import Callable
from typing import Any

import codespeed
import msgspec
import pytest

from benchyard.publish.codespeed.answers import TooLarge, check_saved
from benchyard.publish.destinations import Refused, TryLater
from benchyard.publish.http import Http
from benchyard.publish.settings import Codespeed

GOOD = {
    "commitid": "5" * 40,
    "branch": "main",
    "project": "CPython",
    "executable": "cpython",
    "benchmark": "raw",
    "environment": "bench1",
    "result_value": 1.5,
}


def form(document: Any) -> bytes:
    return urllib.parse.urlencode({"json": json.dumps(document)}).encode()


@pytest.mark.parametrize(
    ("method", "body", "outcome"),
    [
        ("POST", form([GOOD]), None),
        ("POST", form([GOOD, GOOD]), None),
        ("POST", form([]), None),
        ("POST", form([{name: value for name, value in GOOD.items() if name != "executable"}]), Refused),
        ("POST", form([{**GOOD, "executable": ""}]), Refused),
        ("POST", form([{**GOOD, "environment": "elsewhere"}]), Refused),
        ("POST", form([{**GOOD, "commitid": "None"}]), Refused),
        ("POST", b"other=1", Refused),
        ("GET", None, Refused),
        ("POST", form([{**GOOD, "benchmark": "b" * 3_000_000}]), TooLarge),
        ("POST", form(GOOD), TryLater),
        ("POST", b"json=%5B", TryLater),
        ("POST", form([{**GOOD, "result_value": None}]), TryLater),
        ("POST", form([{**GOOD, "result_value": float("nan")}]), TryLater),
        ("POST", form([{**GOOD, "result_value": "fast"}]), TryLater),
        ("POST", form([{**GOOD, "benchmark": "b" * 101}]), TryLater),
        ("POST", form([{**GOOD, "commitid": "c" * 43}]), Refused),
    ],
)
def test_answers(
    speed: codespeed.Server, spin: Callable[..., Any], method: str, body: bytes | None, outcome: type[Exception] | None
) -> None:
    """All that codespeed answers is understood: saved, refused, too large, or trouble of its own."""
    http = Http(timeout_s=30)
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    answer = spin(http.send(method, f"{speed.url}/result/add/json/", data=body, headers=headers))
    spin(http.close())
    settings = msgspec.convert({"url": speed.url}, Codespeed)
    if outcome is None:
        check_saved(answer, settings, "publish-speed")
    else:
        with pytest.raises(outcome) as raised:
            check_saved(answer, settings, "publish-speed")
        assert "\n" not in str(raised.value)
        assert len(str(raised.value)) < 500
