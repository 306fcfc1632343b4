"""What may be published: every rule lets pass what it should, and says in one line why not."""

from collections.abc import Callable
from typing import Any

import pytest

from benchyard.publish.outbox import Place
from benchyard.store.rows import Result

MakeResult = Callable[..., Result]
MakePlace = Callable[..., Place]


def test_defaults(make_place: MakePlace, make_result: MakeResult) -> None:
    """By default any measured result of times with a grade that is not C may go."""
    place = make_place()
    assert place.refusal(make_result()) is None
    assert place.refusal(make_result(grade="B")) is None


CASES: tuple[tuple[dict[str, Any], dict[str, Any], str], ...] = (
    ({}, {"grade": "C"}, "has the grade C; published there are: A, B"),
    ({}, {"grade": None}, "has no grade; published there are: A, B"),
    ({}, {"kind": "memory"}, "is of kind 'memory'; only times of benchmarks are published"),
    ({}, {"kind": "calibrate"}, "is of kind 'calibrate'; only times of benchmarks are published"),
    ({}, {"benchmarks": 0}, "has no values"),
    ({}, {"interpreter": {"patch": "ab" * 32}}, "is of a patched interpreter, and those are not published there"),
    ({"targets": ("linux-arm64",)}, {}, "has the target linux-x86_64; published there are: linux-arm64"),
    ({"branches": ("3.14", "3.15")}, {}, "has the branch main; published there are: 3.14, 3.15"),
    ({"branches": ("main",)}, {"branch": None}, "has no branch; published there are: main"),
    (
        {"remotes": ("upstream",)},
        {"interpreter": {"remote": "ada"}},
        "has the remote ada; published there are: upstream",
    ),
    ({"users": ("lab",)}, {}, "has the owner ada; published there are: lab"),
    ({"flags": ("pgo",)}, {}, "has the flags lto; published there are: pgo"),
    ({"flags": ("none",)}, {}, "has the flags lto, pgo; published there are: none"),
)


@pytest.mark.parametrize(("settings", "columns", "why"), CASES, ids=lambda case: str(case)[:40])
def test_refused(
    make_place: MakePlace, make_result: MakeResult, settings: dict[str, Any], columns: dict[str, Any], why: str
) -> None:
    """What a rule forbids is named with the result's number, and what the rule lets pass."""
    result = make_result(**columns)
    assert make_place(**settings).refusal(result) == f"result {result.id} {why}"


@pytest.mark.parametrize(
    ("settings", "columns"),
    [
        ({"grades": ()}, {"grade": None}),
        ({"grades": ("C",)}, {"grade": "C"}),
        ({"patched": True}, {"interpreter": {"patch": "ab" * 32}}),
        ({"targets": ("linux-x86_64",), "branches": ("main",), "remotes": ("upstream",), "users": ("ada",)}, {}),
        ({"flags": ("pgo", "lto", "jit")}, {}),
        ({"flags": ("pgo",)}, {"flags": ()}),
        ({"flags": ("none",)}, {"flags": ()}),
    ],
)
def test_let_pass(
    make_place: MakePlace, make_result: MakeResult, settings: dict[str, Any], columns: dict[str, Any]
) -> None:
    """An empty list lets all pass; a build with fewer flags than may be is let pass as well."""
    assert make_place(**settings).refusal(make_result(**columns)) is None


def test_what_does_not_count(make_place: MakePlace, make_result: MakeResult) -> None:
    """What is disabled, in the trash or without a file is not published."""
    place, result = make_place(), make_result()
    changed = {"enabled": False, "status": "trashed", "path": None}
    why = [place.refusal(Result(**{**_fields(result), name: value})) for name, value in changed.items()]
    number = f"result {result.id}"
    assert why == [
        f"{number} is disabled; enable it first",
        f"{number} is trashed",
        f"{number} has no file yet",
    ]


def _fields(result: Result) -> dict[str, Any]:
    return {name: getattr(result, name) for name in result.__struct_fields__}
