"""Results over REST."""

from pathlib import Path
from typing import Any

import msgspec
from twisted.internet import threads

from benchyard.access.roles import Role
from benchyard.results.compare import compare
from benchyard.results.reading import read_suite
from benchyard.store import results
from benchyard.store.rows import Result
from benchyard.web.calls import Call, Reply, Route
from benchyard.web.problems import Problem
from benchyard.web.shapes import page_shape, result_shape


async def list_results(call: Call) -> dict[str, Any]:
    """A page of results, newest first."""
    limit, before = call.page()
    rows = await call.services.jobs.db(
        results.list_results,
        job=call.number("job"),
        host=call.query.get("host"),
        target=call.query.get("target"),
        before=before,
        limit=limit + 1,
    )
    return page_shape([result_shape(row) for row in rows], limit)


async def get_result(call: Call, result_id: int) -> dict[str, Any]:
    """One result's row."""
    return result_shape(await _row(call, result_id))


async def get_file(call: Call, result_id: int) -> Reply:
    """The stored file, byte for byte."""
    row = await _row(call, result_id)
    data = await threads.deferToThread(_read, call.services.lab.results_dir / row.path)
    call.request.setHeader(b"ETag", f'"{row.sha256}"'.encode())
    return Reply(data)


async def compare_results(call: Call) -> dict[str, Any]:
    """The comparison of a base result with a head result."""
    rows = [await _named(call, name) for name in ("base", "head")]
    root = call.services.lab.results_dir
    comparison = await threads.deferToThread(_compare, *(root / row.path for row in rows))
    return {"base": result_shape(rows[0]), "head": result_shape(rows[1]), **comparison}


async def _named(call: Call, name: str) -> Result:
    number = call.number(name)
    if number is None:
        raise Problem(400, "name a result by its id", name)
    return await _row(call, number)


async def _row(call: Call, result_id: int) -> Result:
    row: Result = await call.services.jobs.db(results.get_result, result_id)
    return row


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError as exc:
        raise Problem(404, f"the file of this result is gone from the results folder: {path.name}") from exc


def _compare(base: Path, head: Path) -> dict[str, Any]:
    comparison: dict[str, Any] = msgspec.to_builtins(compare(read_suite(_read(base)), read_suite(_read(head))))
    return comparison


ROUTES = (
    Route("GET", "/results", Role.VIEWER, list_results),
    Route("GET", "/results/compare", Role.VIEWER, compare_results),
    Route("GET", "/results/<int:result_id>", Role.VIEWER, get_result),
    Route("GET", "/results/<int:result_id>/file", Role.VIEWER, get_file),
)
