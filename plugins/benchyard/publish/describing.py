"""What destinations tell of a result: by its row, or where there is none by its file and the file's name."""

from collections.abc import Mapping
from typing import Any

from benchyard.publish.destinations import Measured, Publication
from benchyard.results.compare import Comparison
from benchyard.results.differences import compare_rows
from benchyard.results.layout import ResultName
from benchyard.results.markdown import Described
from benchyard.results.reading import Suite, read_suite
from benchyard.store.rows import Result

_UNKNOWN = "unknown"


def describe_row(result: Result, link: str = "") -> Described:
    """A result by its row; `link` is where the lab shows it."""
    interpreter = result.interpreter or {}
    words = [result.suite or "", result.suite_version or ""]
    return Described(
        title=f"result {result.id}",
        link=link,
        repository=str(interpreter.get("url") or ""),
        commit=result.commit or "",
        ref=str(result.branch or interpreter.get("ref") or ""),
        patch=str(interpreter.get("patch") or ""),
        version=result.version or "",
        flags=result.flags,
        host=result.host,
        grade=result.grade or "",
        reasons=result.grade_reasons,
        suite=_suite(" ".join(word for word in words if word not in ("", _UNKNOWN)), result.mode),
        failed=tuple(str(one.get("name", "")) for one in result.failed),
    )


def describe_file(name: ResultName, metadata: Mapping[str, Any]) -> Described:
    """A result by its file alone, so that it is told the same by whoever has the file."""

    def said(*keys: str) -> str:
        return next((str(metadata[key]) for key in keys if metadata.get(key)), "")

    flags, reasons = said("benchyard_flags"), said("benchyard_grade_reasons")
    version = said("performance_version")
    return Described(
        commit=said("commit_id") or name.commit,
        ref=said("commit_branch", "benchyard_ref") or name.ref,
        patch=said("benchyard_patch"),
        version=name.version,
        flags=tuple(flags.split(",")) if flags else name.flags,
        host=name.nickname,
        grade=said("benchyard_grade"),
        reasons=tuple(reasons.split("; ")) if reasons else (),
        suite=said("benchyard_suite") or (f"pyperformance {version}" if version else ""),
    )


def compared(publication: Publication) -> Comparison | None:
    """The comparison with the base, where there is one. Blocks for a second."""
    if publication.base is None:
        return None
    base, head = ((side.result, read_suite(side.data)) for side in (publication.base, publication.head))
    return compare_rows(base, head, noise=publication.noise)


def suite_of(measured: Measured) -> Suite:
    """The values of a result. Blocks for a second."""
    return read_suite(measured.data)


def _suite(suite: str, mode: str | None) -> str:
    return f"{suite}, {mode}" if suite and mode and mode != _UNKNOWN else suite
