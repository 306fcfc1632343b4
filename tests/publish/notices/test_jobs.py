"""What people are told when a job has ended: its numbers, how they compare, and what has become slower."""

from typing import Any

import pytest
import sqlalchemy as sa
from measuredlab import MeasuredLab, around

from benchyard.publish.notices.facts import Fact, fact_of
from benchyard.publish.notices.jobs import compose, gather
from benchyard.publish.notices.words import LONGEST_LINE, LONGEST_SUBJECT, Draft
from benchyard.results.regressions import Thresholds
from benchyard.store import history, jobs, results
from benchyard.store.calibrations import put_noise
from benchyard.store.rows import Noise

LINK = "http://lab.example/#/buildrequests/1"


def told(lab: MeasuredLab, conn: sa.Connection, job_id: int) -> list[Draft]:
    """The notices of a job's end, by the fact that the history has of it."""
    facts = [fact for change in history.history_of(conn, "job", job_id) if (fact := fact_of(change)) is not None]
    (fact,) = facts
    ended = gather(conn, fact)
    assert ended is not None
    return compose(fact, ended, results_dir=lab.folder, thresholds=Thresholds(), link=LINK)


def test_a_job_is_done(conn: sa.Connection, lab: MeasuredLab) -> None:
    """Its owner is told what was measured where, how far it can be trusted, and every mean."""
    values = {"nbody": around(0.0934), "json_loads": around(2.08e-05)}
    result = lab.measured(conn, values, commit="1a2b3c4d5e6f", reason="before merge")
    (done,) = told(lab, conn, result.job_id or 0)
    assert (done.kind, done.key, done.users, done.target) == ("job_done", "job_done:1", ("ada",), "linux")
    assert done.subject == "job 1 success: main 1a2b3c4d5e on bench, 2 benchmarks"
    assert done.body.splitlines() == [
        "job 1: success in 27 s",
        "measured main 1a2b3c4d5e (3.16.0a0, jit pgo, fast) on bench",
        "result 1, grade B (a virtual machine)",
        "asked for by ada: before merge",
        "",
        "json_loads  20.8 us +- 0.2 us",
        "nbody       93.4 ms +- 1.0 ms",
        "",
        LINK,
    ]
    assert (done.data["status"], done.data["host"], done.data["grade"]) == ("success", "bench", "B")


def test_a_job_has_failed(conn: sa.Connection, lab: MeasuredLab) -> None:
    """The reason is in the subject, whole in the text, and in one line that no header is broken by."""
    job = lab.job(conn)
    error = "make failed: x.c:1:9: error:\r\nBcc: eve@example.org " + "x" * 500
    jobs.set_status(conn, job.id, "failed", now=5.0, who="lab", error=error)
    (done,) = told(lab, conn, job.id)
    assert done.subject.startswith("job 1 failed: make failed: x.c:1:9: error: Bcc: eve@example.org xx")
    assert len(done.subject) <= LONGEST_SUBJECT
    assert "\r" not in done.body and "all that it printed: benchyard job log 1" in done.body
    assert max(map(len, done.body.splitlines())) <= LONGEST_LINE


def test_benchmarks_that_failed_are_named(conn: sa.Connection, lab: MeasuredLab) -> None:
    """Those left out after their smoke, and those that failed in the run, with why."""
    job = lab.job(conn)
    jobs.set_prepared(conn, job.id, {"left_out": [{"name": "dask", "error": "no module named dask"}]})
    report = {"benchmarks": [{"name": "2to3", "status": "failed", "error": "killed by signal 11"}]}
    lab.result(conn, job, {"nbody": around(1.0)}, report=report)
    (done,) = told(lab, conn, job.id)
    assert "2 benchmarks failed:\ndask: no module named dask\n2to3: killed by signal 11\n" in done.body
    assert done.data["failed"] == ["dask", "2to3"]


def test_whom_it_is_no_news_for(conn: sa.Connection, lab: MeasuredLab) -> None:
    """Who has canceled a job knows; a backfill tells of what failed only. The notice is there for others to read."""
    own, other = lab.job(conn), lab.job(conn)
    for job, who in ((own, "ada"), (other, "max")):
        jobs.ask_cancel(conn, job.id, now=2.0, who=who)
        jobs.set_status(conn, job.id, "canceled", now=3.0, who=who)
    assert [told(lab, conn, job.id)[0].users for job in (own, other)] == [(), ("ada",)]
    filled = lab.measured(conn, {"nbody": around(1.0)}, origin="backfill")
    failed = lab.job(conn, origin="backfill")
    jobs.set_status(conn, failed.id, "failed", now=3.0, who="lab", error="no")
    assert told(lab, conn, filled.job_id or 0)[0].users == ()
    assert told(lab, conn, failed.id)[0].users == ("ada",)


def test_regression_against_the_base(conn: sa.Connection, lab: MeasuredLab) -> None:
    """The worst is first, each with both means; both commits, host, grades and the geometric mean are told."""
    base = lab.measured(conn, {"a": around(1.0), "b": around(0.0123), "c": around(1.0)}, commit="aaaaaaaaaa0")
    values = {"a": around(1.2), "b": around(0.0185), "c": around(0.5)}
    head = lab.measured(conn, values, commit="bbbbbbbbbb0", base_job=base.job_id, owner="bob")
    done, regression = told(lab, conn, head.job_id or 0)
    assert regression.key == f"regression:{head.id}:{base.id}"
    assert regression.users == ("bob",)
    assert regression.subject == "regression: main bbbbbbbbbb on bench: 2 benchmarks slower, b 1.50x slower"
    lines = regression.body.splitlines()
    assert lines[1].startswith("base main aaaaaaaaaa (3.16.0a0, jit pgo, fast) on bench, job 1, result 1, grade B")
    assert lines[2].startswith("head main bbbbbbbbbb (3.16.0a0, jit pgo, fast) on bench, job 2, result 2, grade B")
    assert lines[4:8] == [
        "b: 12.3 ms +- 0.1 ms -> 18.5 ms +- 0.2 ms: 1.50x slower",
        "a: 1.00 sec +- 0.01 sec -> 1.20 sec +- 0.01 sec: 1.20x slower",
        "",
        "geometric mean: 1.03x faster (3 of 3 benchmarks)",
    ]
    assert [each["name"] for each in regression.data["slower"]] == ["b", "a"]
    assert regression.data["geometric_mean"] == pytest.approx(1.03, abs=0.01)
    # The end of the job says the same, for those who are not told of regressions.
    assert done.data["regressions"] == [regression.key]
    assert "job 2 (main bbbbbbbbbb, bench) with job 1 (main aaaaaaaaaa, bench):" in done.body
    assert done.subject == "job 2 success: main bbbbbbbbbb on bench, job 2 is 1.03x faster than job 1"


def test_base_that_ends_last(conn: sa.Connection, lab: MeasuredLab) -> None:
    """Then its end tells of the comparison, and the owner of the head is told of the regression, once."""
    base = lab.job(conn, owner="max")
    head = lab.job(conn, base_job=base.id, owner="bob")
    lab.result(conn, head, {"a": around(2.0)})
    (alone,) = told(lab, conn, head.id)
    assert alone.data["regressions"] == []
    lab.result(conn, base, {"a": around(1.0)})
    done, regression = told(lab, conn, base.id)
    assert (done.users, regression.users) == (("max",), ("bob",))
    assert done.data["regressions"] == []  # so that the end of the job is told to its owner, too
    assert [each.key for each in told(lab, conn, head.id)[1:]] == [regression.key]


def test_regression_in_a_series(conn: sa.Connection, lab: MeasuredLab) -> None:
    """A nightly result is held against the one before it; what noise makes of it is no news."""
    how: dict[str, Any] = {"origin": "nightly", "reason": "schedule nightly", "owner": "lab"}
    lab.measured(conn, {"a": around(1.0)}, **how)
    slower = lab.measured(conn, {"a": around(1.2)}, **how)
    assert [each.kind for each in told(lab, conn, slower.job_id or 0)] == ["job_done", "regression"]
    put_noise(conn, "bench", 1, [Noise("bench", 1, "a", 0.3, 9, 1.0, "second", 1.0)])
    assert [each.kind for each in told(lab, conn, slower.job_id or 0)] == ["job_done"]


def test_more_differs_than_the_interpreter(conn: sa.Connection, lab: MeasuredLab) -> None:
    """What differs between hosts, since a new kernel, or by the suite or the grade is shown, has no ratio of the whole,
    and is called no regression.
    """
    base = lab.measured(conn, {"a": around(1.0)})
    others: list[tuple[dict[str, Any], str]] = [
        ({"host": "other"}, "host bench against other"),
        ({"machine": "another kernel"}, "epoch 1 against 2"),
        ({"suite_version": "1.13.0"}, "suite version 1.14.0 against 1.13.0"),
        ({"grade": "C"}, "grade B against C"),
    ]
    for other, said in others:
        head = lab.measured(conn, {"a": around(2.0)}, base_job=base.job_id, **other)
        (done,) = told(lab, conn, head.job_id or 0)
        assert done.subject.endswith(", not to be compared with job 1")
        assert f"different: {said}" in done.body and "geometric mean" not in done.body
        (numbers,) = done.data["compared"]
        assert (numbers["geometric_mean"], numbers["slower"]) == (None, [])
        assert said in numbers["differences"]


def test_files_that_are_gone(conn: sa.Connection, lab: MeasuredLab) -> None:
    """A result without its file is told without numbers; one whose values nobody can read is no obstacle."""
    result = lab.measured(conn, {"a": around(1.0)})
    (lab.folder / str(result.path)).unlink()
    (done,) = told(lab, conn, result.job_id or 0)
    assert done.subject.endswith("on bench, 1 benchmark")
    (lab.folder / str(result.path)).write_text("{}")
    assert told(lab, conn, result.job_id or 0) == [done]


def test_many_benchmarks(conn: sa.Connection, lab: MeasuredLab) -> None:
    """A hundred are listed, the rest is counted."""
    base = lab.measured(conn, {f"b{i:03}": around(1.0) for i in range(120)})
    assert "\nb099  1.00 sec +- 0.01 sec\nand 20 more\n" in told(lab, conn, base.job_id or 0)[0].body
    head = lab.measured(conn, {f"b{i:03}": around(1.2) for i in range(120)}, base_job=base.job_id)
    regression = told(lab, conn, head.job_id or 0)[1]
    assert regression.subject.endswith("1.20x slower overall, 120 benchmarks slower, b000 1.20x slower")
    assert "\nand 20 more\n" in regression.body


def test_a_job_that_was_removed(conn: sa.Connection, lab: MeasuredLab) -> None:
    """Nobody is told of a job that is gone."""
    result = lab.measured(conn, {"a": around(1.0)})
    change = history.history_of(conn, "job", 1)[-1]
    jobs.remove_job(conn, result.job_id or 0, now=9.0, who="ada")
    assert gather(conn, Fact("job_done", "1", change)) is None
    assert results.get_result(conn, result.id)
