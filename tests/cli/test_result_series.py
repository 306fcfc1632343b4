"""`benchyard result series`, with series that the lab has told."""

from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.cli.conftest import Run
    from tests.client.lab_server import LabServer


def point(day: int, value: float, result: int) -> dict[str, Any]:
    """A commit of this day of November, measured by one result."""
    time = f"2026-11-{day:02}T12:00:00.000Z"
    return {"commit": f"{day:040x}", "time": time, "value": value, "low": value, "high": value, "results": [result]}


def test_a_commit_in_two_stretches_is_one(run: "Run", lab: "LabServer", server_module: ModuleType) -> None:
    """Commits are counted once, from the oldest to the newest, in however many epochs they were measured."""
    stretches = [
        {"epoch": 1, "version": "1", "points": [point(4, 0.10, 1), point(9, 0.11, 2)], "changes": []},
        {"epoch": 2, "version": "1", "points": [point(2, 0.20, 3), point(4, 0.21, 4)], "changes": []},
    ]
    series = {"host": "quiet-1", "benchmark": "nbody", "unit": "second", "branch": "main", "stretches": stretches}
    lab.canned = [server_module.as_json({"series": [series], "more": 0})]
    ran = run("result", "series", "nbody", "--limit", "3")
    assert "commits  3, 2026-11-02 to 2026-11-09\n" in ran.out
    assert "(the last 3 of 4 points, and those that changed it; --all shows all)\n" in ran.out
