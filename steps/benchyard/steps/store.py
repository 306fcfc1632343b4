"""The last step of a job: its result, validated by pyperf, kept whole as a file and known in the index."""

import time
from pathlib import Path
from typing import Any

from buildbot.process.results import FAILURE, SUCCESS
from twisted.internet import threads

from benchyard.publish import outbox
from benchyard.publish.outbox import Places
from benchyard.publish.service import find_publisher
from benchyard.results.errors import ResultError, StorageError
from benchyard.steps.base import JobStep
from benchyard.steps.calibration import Means, run_means, take_calibration
from benchyard.steps.filing import attachments_of, delivery_path, failed_of, file_result, forget_delivery
from benchyard.steps.kinds import find_kind
from benchyard.steps.trust import place_in_epoch
from benchyard.store import attempts, jobs, results
from benchyard.store.rows import CALIBRATE, Attempt, Job


class StoreResult(JobStep):
    """Files what the job's run left; safe to repeat, since a run has one result."""

    name = "store"

    def __init__(self, *, incoming: Path, results_dir: Path, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.incoming, self.results_dir = incoming, results_dir

    async def do_for(self, job: Job) -> int:
        await self.service.set_status(job.id, "storing")
        attempt = await self.service.db(attempts.current_attempt, job.id)
        kind = find_kind(job.kind)
        delivered = delivery_path(self.incoming, attempt)
        try:
            filed = await threads.deferToThread(file_result, self.results_dir, delivered, job, attempt, kind)
        except StorageError as exc:
            return await self.later(f"{exc}; trying again")
        except ResultError as exc:
            error = f"the run's result file is not usable: {exc}"
            await self.service.set_status(job.id, "failed", error=error)
            self.descriptionDone = error
            return int(FAILURE)
        means = run_means(filed["measurements"]) if job.kind == CALIBRATE else None
        publisher = find_publisher(self.master)
        places = publisher.places if publisher is not None else {}
        result_id, told = await self.service.db(_note, job, attempt, filed, means, places, time.time())
        if publisher is not None:
            publisher.wake()
        await threads.deferToThread(forget_delivery, delivered)
        for graph in attachments_of(attempt.report):
            if graph.name.endswith(".svg"):
                await self.addURL(graph.name, self._address(result_id, graph.name))
        failed = failed_of(job, attempt)
        self.descriptionDone = f"result {result_id}: {filed['benchmarks']} benchmarks" + (
            f", {len(failed)} failed: " + ", ".join(b["name"] for b in failed) if failed else ""
        )
        self.descriptionDone += "".join(f"; {line}" for line in told)
        return int(SUCCESS)

    def _address(self, result_id: int, name: str) -> str:
        """Where the web shows a file of a result, to be linked from the job's page."""
        return f"{self.master.config.buildbotURL}plugins/benchyard/api/v1/results/{result_id}/attachments/{name}"


def _note(
    conn: Any,
    job: Job,
    attempt: Attempt,
    filed: dict[str, Any],
    means: Means | None,
    places: Places,
    now: float,
) -> tuple[int, list[str]]:
    """The result's row, what it says of its host, its uploads, and the job's success, in one transaction.

    So that no crash leaves a result that is never published. Also gives what to tell.
    """
    row = results.add_result(
        conn,
        now=now,
        who="lab",
        job_id=job.id,
        attempt=attempt.number,
        **filed,
    )
    told = [f"grade {row.grade}"] if row.grade else []
    opened = place_in_epoch(conn, row.id, attempt, now=now)
    if opened is not None:
        told.append(opened.text)
    if means is not None:
        told += take_calibration(conn, row.id, means, now=now)
    outbox.file_new(conn, places, row, wanted=bool(job.spec.get("upload")), now=now)
    jobs.set_status(conn, job.id, "success", now=now, who="lab")
    outbox.base_has_ended(conn, job.id, now=now)
    return row.id, told
