"""The steps that make sure of a measurement: wheels for its environment, and a value of each of its benchmarks."""

import posixpath
from typing import Any

import msgspec
from buildbot.process.results import SKIPPED, SUCCESS

from benchyard.steps.archives import Archives, take_archive
from benchyard.steps.base import STATE_VARIABLE, state_option
from benchyard.steps.commands import suite_options
from benchyard.steps.fetch import fetch_file
from benchyard.steps.fetching import Fetch, needs_of
from benchyard.steps.prepare import PrepareStep
from benchyard.steps.progress import TailObserver
from benchyard.store import interpreters, jobs
from benchyard.store.rows import Job
from benchyard.tasks.suite import installed_suite

#: The property with the benchmarks that were not tried yet with the job's interpreter, and the one with their wheels.
UNTRIED, WHEELS = "to try", "wheelhouse"

REPORT = "smoke.json"


class PlanSmoke(PrepareStep):
    """Looks which of the job's benchmarks were never tried with its interpreter; an installed one is not tried."""

    name = "plan smoke"

    def __init__(self, *, archives: Archives, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.archives = archives

    async def do_for(self, job: Job) -> int:
        if job.spec.get("source") is None:
            return int(SKIPPED)
        known = await self.service.db(known_smoke, job)
        untried = [name for name in job.spec["benchmarks"] if name not in known["benchmarks"]]
        if not self.archives.wheels(known["wheels"] or "none").is_file():
            untried = list(job.spec["benchmarks"])
        self.setProperty(UNTRIED, untried, "benchyard")
        self.descriptionDone = f"{len(untried)} benchmarks to try" if untried else "all benchmarks were tried before"
        return int(SUCCESS)


class FetchForSmoke(Fetch):
    """Brings interpreter and suite to the worker that tries them, which need not be the one that built it."""

    async def do(self) -> int:
        if not self.getProperty(UNTRIED):
            return int(SKIPPED)
        job, _attempt = await self.service.run_of(self.build)
        here = [need for need in needs_of(job) if need.kind != "wheels"]
        return await self.bring(job, tuple(here))


class MakeWheels(PrepareStep):
    """Makes the wheels that the benchmarks need on this worker, and keeps them in the lab."""

    name = "wheels"

    def __init__(self, *, archives: Archives, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.archives = archives

    async def do_for(self, job: Job) -> int:
        if not self.getProperty(UNTRIED):
            return int(SKIPPED)
        observer = TailObserver()
        self.addLogObserver("stdio", observer)
        asked = (*_of_build(self.environ, job), "--benchmarks", ",".join(job.spec["benchmarks"]), "--json")
        rc = await self.task("make-wheels", *asked)
        if rc == 0:
            made = msgspec.json.decode(observer.last_line)
            if not self.archives.wheels(made["id"]).is_file():
                return await self._keep(job, asked, observer)
            return self._note(made)
        return await self._failed(job, rc, observer)

    async def _keep(self, job: Job, asked: tuple[str, ...], observer: TailObserver) -> int:
        folder = posixpath.join(self.environ[STATE_VARIABLE], "outgoing")
        rc = await self.task("make-wheels", *asked, "--archive", folder)
        if rc != 0:
            return await self._failed(job, rc, observer)
        made = msgspec.json.decode(observer.last_line)
        source = posixpath.join(folder, f"{made['id']}.tar.gz")
        wrong = await take_archive(self, source, self.archives.wheels(made["id"]), made["sha256"])
        if self.cut_off:
            return self.released()
        return self._note(made) if wrong is None else await self.fail(job, f"the wheels could not be kept: {wrong}")

    async def _failed(self, job: Job, rc: int | None, observer: TailObserver) -> int:
        return self.released() if rc is None else await self.fail(job, observer.last_error or "there are no wheels")

    def _note(self, made: dict[str, Any]) -> int:
        self.setProperty(WHEELS, {"id": made["id"], "folder": made["folder"]}, "benchyard")
        self.descriptionDone = f"{made['files']} wheels"
        return int(SUCCESS)


class Smoke(PrepareStep):
    """Runs each benchmark that was never tried for one value; notes for the job what is left out of its measurement."""

    name = "smoke"

    async def do_for(self, job: Job) -> int:
        if job.spec.get("source") is None:
            return int(SKIPPED)
        untried = self.getProperty(UNTRIED)
        if untried:
            results = await self._try(job, untried)
            if results != SUCCESS:
                return results
        known = await self.service.db(known_smoke, job)
        failed = [known["benchmarks"][name] for name in job.spec["benchmarks"] if known["benchmarks"].get(name)]
        prepared = {**(job.prepared or {}), "wheels": known["wheels"], "left_out": failed}
        await self.service.db(jobs.set_prepared, job.id, prepared)
        if failed and (job.spec.get("strict") or len(failed) == len(job.spec["benchmarks"])):
            named = "; ".join(f"{one['name']}: {one['error']}" for one in failed[:3])
            return await self.fail(job, f"smoke: {len(failed)} of {len(job.spec['benchmarks'])} do not run: {named}")
        self.descriptionDone = "left out: " + ", ".join(one["name"] for one in failed) if failed else "all run"
        return int(SUCCESS)

    async def _try(self, job: Job, untried: list[str]) -> int:
        state, wheels = self.environ[STATE_VARIABLE], self.getProperty(WHEELS)
        observer = TailObserver()
        self.addLogObserver("stdio", observer)
        rc = await self.task(
            *("smoke", *_of_build(self.environ, job), "--benchmarks", ",".join(untried)),
            *("--environments", posixpath.join(state, "environments"), "--wheels", wheels["folder"]),
            *("--commit", job.spec["source"]["commit"], "--report", posixpath.join(state, "outgoing", REPORT)),
        )
        if rc is None:
            return self.released()
        report = await fetch_file(self, posixpath.join(state, "outgoing"), REPORT)
        if self.cut_off:
            return self.released()
        if report is None:
            return await self.fail(job, observer.last_error or "the smoke left no report")
        await self.service.db(_note, job, wheels["id"], msgspec.json.decode(report))
        return int(SUCCESS)


def smoke_steps(archives: Archives) -> list[Any]:
    """The steps from an interpreter in the lab to a job that may be measured."""
    return [
        PlanSmoke(archives=archives),
        FetchForSmoke(archives=archives),
        MakeWheels(archives=archives),
        Smoke(),
    ]


def known_smoke(conn: Any, job: Job) -> dict[str, Any]:
    """What is known of the benchmarks of a job's interpreter: by name None or why it does not run, and their wheels."""
    built = interpreters.find_interpreter(conn, (job.prepared or {}).get("interpreter", ""))
    suite = job.spec.get("suite_version") or installed_suite().label
    smoke = built.smoke.get(suite) if built is not None else None
    return smoke or {"wheels": None, "benchmarks": {}}


def _note(conn: Any, job: Job, wheels: str, report: dict[str, Any]) -> None:
    found = {
        one["name"]: None
        if one["status"] == "success"
        else {"name": one["name"], "error": one.get("error"), "log_tail": one.get("log_tail", "")}
        for one in report["benchmarks"]
    }
    interpreters.note_smoke(conn, job.prepared["interpreter"], report["suite_version"], wheels, found)  # type: ignore[index]


def _of_build(environ: dict[str, str], job: Job) -> tuple[str, ...]:
    interpreter = job.prepared["interpreter"]  # type: ignore[index]
    folder = posixpath.join(environ[STATE_VARIABLE], "interpreters")
    suite = suite_options(job, environ[STATE_VARIABLE])
    return ("--build", interpreter, "--interpreters", folder, *suite, *state_option(environ))
