"""What else is different between two results than their interpreters.

What differs is shown beside the numbers, and makes them count for nothing overall: a kernel that was updated in between
has made whole interpreters slower before (https://github.com/python/codespeed/pull/77).
"""

from collections.abc import Mapping
from typing import Any, Protocol

import msgspec

from benchyard.results.compare import Comparison, compare
from benchyard.results.reading import Suite
from benchyard.results.verdicts import Known

# Of a host's conditions; how it was isolated is part of a run's grade.
_CONDITIONS = ("cpu", "microcode", "kernel", "mitigations", "governor", "boost", "smt")

_DISTURBED = "C"
_SHOWN = 60


class Conditions(msgspec.Struct, frozen=True, kw_only=True):
    """Under which conditions a result was measured, as far as that is known; what is None or empty is compared with
    nothing.

    `hostname` is what the host calls itself, which says something where the lab does not know its name; `host_print`
    is the host's part of the fingerprint, `fingerprint` its id where that is all that is known of it, `benchmark_hash`
    what bench_runner calls the state of the suite.
    """

    host: str | None = None
    hostname: str | None = None
    epoch: int | None = None
    suite: str | None = None
    suite_version: str | None = None
    benchmark_hash: str | None = None
    mode: str | None = None
    grade: str | None = None
    grade_reasons: tuple[str, ...] = ()
    host_print: Mapping[str, Any] = {}
    fingerprint: str | None = None


class Row(Protocol):
    """What the lab knows of a result."""

    @property
    def host(self) -> str | None: ...
    @property
    def epoch(self) -> int | None: ...
    @property
    def suite(self) -> str | None: ...
    @property
    def suite_version(self) -> str | None: ...
    @property
    def mode(self) -> str | None: ...
    @property
    def grade(self) -> str | None: ...
    @property
    def grade_reasons(self) -> tuple[str, ...]: ...
    @property
    def fingerprint(self) -> dict[str, Any] | None: ...
    @property
    def fingerprint_id(self) -> str | None: ...


def conditions_of(row: Row, metadata: Mapping[str, Any]) -> Conditions:
    """The conditions of a result, by what the lab knows of it and by the metadata of its file."""

    def said(name: str) -> str | None:
        return str(metadata[name]) if metadata.get(name) else None

    return Conditions(
        host=row.host,
        hostname=said("hostid") or said("hostname"),
        epoch=row.epoch,
        suite=row.suite,
        suite_version=row.suite_version,
        benchmark_hash=said("benchmark_hash"),
        mode=row.mode,
        grade=row.grade,
        grade_reasons=row.grade_reasons,
        host_print=(row.fingerprint or {}).get("host") or {},
        fingerprint=row.fingerprint_id if row.fingerprint is None else None,
    )


def compare_rows(base: tuple[Row, Suite], head: tuple[Row, Suite], *, noise: Mapping[str, Known] = {}) -> Comparison:
    """Compare two results that the lab knows, each a row and its values, with all else that differs between them.

    Whoever tells of two results compares them with this, so that the same is said of them everywhere.
    """
    conditions = [conditions_of(row, suite.metadata) for row, suite in (base, head)]
    found, marks = find_differences(*conditions), find_marks(*conditions)
    return compare(base[1], head[1], noise=noise, differences=found, marks=marks)


def find_differences(base: Conditions, head: Conditions) -> tuple[str, ...]:
    """Each thing that is known of both and differs, in words: "kernel 6.1 against 6.5"."""
    pairs: dict[str, tuple[Any, Any]] = {
        "host": (base.host, head.host) if base.host and head.host else (base.hostname, head.hostname),
        "suite": (base.suite, head.suite),
        "suite version": (base.suite_version, head.suite_version),
        "benchmark hash": (base.benchmark_hash, head.benchmark_hash),
        "grade": (base.grade, head.grade),
    }
    found = [_words(name, *pair) for name, pair in pairs.items() if _differ(*pair)]
    same_epoch = base.host == head.host and base.epoch is not None and base.epoch == head.epoch
    if not same_epoch:
        conditions = {name: (base.host_print.get(name), head.host_print.get(name)) for name in _CONDITIONS}
        said = [_words(name, *pair) for name, pair in conditions.items() if _differ(*pair)]
        if not said and base.host == head.host and _differ(base.epoch, head.epoch):
            said = [_words("epoch", base.epoch, head.epoch)]
        # That of another host, or of other benchmarks, is another one, and says no more than that.
        told = _differ(*pairs["host"]) or _differ(*pairs["benchmark hash"])
        if not said and not told and _differ(base.fingerprint, head.fingerprint):
            said = [_words("fingerprint", base.fingerprint, head.fingerprint)]
        found += said
    return tuple(found)


def find_marks(base: Conditions, head: Conditions) -> tuple[str, ...]:
    """What is to be known beside the numbers, and takes nothing from them: that a result was disturbed, or the mode.

    In another mode the same is measured, more or fewer times: the values of one side are fewer, as every test and
    interval here takes into account. So they are compared, and count.
    """
    found = []
    if _differ(base.mode, head.mode):
        found.append(f"{_words('mode', base.mode, head.mode)}: the one has fewer values than the other")
    for side, conditions in (("base", base), ("head", head)):
        if conditions.grade == _DISTURBED:
            reasons = "; ".join(conditions.grade_reasons)
            found.append(f"{side} is of grade {_DISTURBED}{f': {reasons}' if reasons else ''}")
    return tuple(found)


def _differ(base: Any, head: Any) -> bool:
    known = all(value not in (None, "", "unknown", {}) for value in (base, head))
    return known and type(base) is type(head) and base != head


def _words(name: str, base: Any, head: Any) -> str:
    if isinstance(base, Mapping):
        return f"{name} differ"
    return f"{name} {_short(base)} against {_short(head)}"


def _short(value: Any) -> str:
    text = " ".join(str(value).split())
    return text if len(text) <= _SHOWN else text[: _SHOWN - 3] + "..."
