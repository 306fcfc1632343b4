"""The steps that make sure of a measurement: wheels for its environment, and a value of each of its benchmarks."""

import posixpath
import re
from typing import Any

import msgspec
from buildbot.process.results import SKIPPED, SUCCESS

from benchyard.steps.archives import Archives, take_archive
from benchyard.steps.base import STATE_VARIABLE, state_option
from benchyard.steps.checkout import TRIES
from benchyard.steps.commands import suite_options
from benchyard.steps.fetch import fetch_file
from benchyard.steps.fetching import Fetch, needs_of
from benchyard.steps.prepare import PrepareStep
from benchyard.steps.progress import TailObserver
from benchyard.store import interpreters, jobs
from benchyard.store.rows import Job
from benchyard.tasks.environment import telling_line
from benchyard.tasks.suite import installed_suite

#: The property with the benchmarks that are to be tried with the job's interpreter, and the one with their wheels.
UNTRIED, WHEELS = "to try", "wheelhouse"

_RELEASE = re.compile(r"v([0-9]+\.[0-9]+\.[0-9]+(?:(?:a|b|rc)[0-9]+)?)", re.ASCII)


class PlanSmoke(PrepareStep):
    """Looks which of the job's benchmarks have not run yet with its interpreter; an installed one is not tried.

    What failed for another job is tried again: most of that is over in seconds, and the network may be back.
    """

    name = "plan smoke"

    def __init__(self, *, archives: Archives, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.archives = archives

    async def do_for(self, job: Job) -> int:
        if job.spec.get("source") is None:
            return int(SKIPPED)
        wrong = await self.service.db(wrong_version, job)
        if wrong is not None and job.spec["source"]["url"] in self.service.remotes:
            return await self.fail(job, wrong)
        untried = await self.service.db(_plan, self.archives, job)
        self.setProperty(UNTRIED, untried, "benchyard")
        found = f"{len(untried)} benchmarks to try" if untried else "all benchmarks were tried before"
        self.descriptionDone = f"{found}; {wrong}" if wrong is not None else found
        return int(SUCCESS)


class FetchForSmoke(Fetch):
    """Brings interpreter and suite to the worker that tries them, which need not be the one that built it."""

    async def gone(self, job: Job, why: str) -> int:
        """The build of this stage is done again, from its first step: that one sees what is missing."""
        return await self.later(f"{why}; it is made again") if await self.tries() < TRIES else await self.fail(job, why)

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
        asked = (*_of_build(self.environ, job), "--benchmarks", ",".join(job.spec["benchmarks"]))
        made = await self._make(*asked, "--limit", str(self.archives.limit))
        if made is None:
            return await self._failed(job, observer)
        if not await self.service.db(_take_wheels, self.archives, job, made["id"]):
            folder = _outgoing(self.environ)
            made = await self._make(*asked, "--archive", folder)
            if made is None:
                return await self._failed(job, observer)
            source = posixpath.join(folder, f"{made['id']}.tar.gz")
            wrong = await take_archive(self, source, self.archives.path("wheels", made["id"]), made["sha256"])
            if self.cut_off:
                return self.released()
            if wrong is not None:
                return await self.fail(job, f"the wheels could not be kept: {wrong}")
            await self.service.db(_take_wheels, self.archives, job, made["id"])
            await self.service.db(self.archives.drop_old)
        failed = {name: telling_line(output) for name, output in made["failed"].items()}
        self.setProperty(WHEELS, {"id": made["id"], "folder": made["folder"], "failed": failed}, "benchyard")
        self.descriptionDone = f"{made['files']} wheels"
        return int(SUCCESS)

    async def _make(self, *asked: str) -> dict[str, Any] | None:
        """What the worker says that it has made; by a file, as a line of a log has its limits."""
        name = f"wheels-{self.build.builder.name}.json"
        rc = await self.task("make-wheels", *asked, "--report", posixpath.join(_outgoing(self.environ), name))
        report = await fetch_file(self, _outgoing(self.environ), name) if rc == 0 else None
        return msgspec.json.decode(report) if report is not None else None

    async def _failed(self, job: Job, observer: TailObserver) -> int:
        return self.released() if self.cut_off else await self.fail(job, observer.last_error or "there are no wheels")


class Smoke(PrepareStep):
    """Runs each benchmark that is to be tried for one value; notes for the job what is left out of its measurement."""

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
        folder, name = _outgoing(self.environ), f"smoke-{self.build.builder.name}.json"
        rc = await self.task(
            *("smoke", *_of_build(self.environ, job), "--benchmarks", ",".join(untried)),
            *("--environments", posixpath.join(state, "environments"), "--wheels", wheels["folder"]),
            *("--commit", job.spec["source"]["commit"], "--report", posixpath.join(folder, name)),
        )
        if rc is None:
            return self.released()
        report = await fetch_file(self, folder, name)
        if self.cut_off:
            return self.released()
        if report is None:
            return await self.fail(job, observer.last_error or "the smoke left no report")
        await self.service.db(_note, job, wheels, msgspec.json.decode(report))
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


def wrong_version(conn: Any, job: Job) -> str | None:
    """What is wrong with the version of a release's interpreter; None where it is as its tag says, or cannot be known.

    A patch may change the version on purpose; so may a fork, where this is no more than a word of warning.
    """
    source = job.spec["source"]
    tag = _RELEASE.fullmatch(source["ref"])
    built = interpreters.find_interpreter(conn, (job.prepared or {}).get("interpreter", ""))
    if tag is None or built is None or source["patch"] is not None:
        return None
    said = str(built.record["version"])
    if said.removesuffix("+") == tag[1]:
        return None
    return f"the interpreter says that it is {said}, not {tag[1]} as the tag {source['ref']} of {source['remote']} does"


def _plan(conn: Any, archives: Archives, job: Job) -> list[str]:
    """The benchmarks to try; the wheels of those that have run before are the job's from here on."""
    known = known_smoke(conn, job)
    if not _take_wheels(conn, archives, job, known["wheels"]):
        return list(job.spec["benchmarks"])
    return [name for name in job.spec["benchmarks"] if known["benchmarks"].get(name, name) is not None]


def _take_wheels(conn: Any, archives: Archives, job: Job, id: str | None) -> bool:
    """Whether the lab has these wheels; then they are the job's, and are not dropped before that was measured."""
    if not archives.has_wheels(id):
        return False
    jobs.set_prepared(conn, job.id, {**(job.prepared or {}), "wheels": id})
    return True


def _note(conn: Any, job: Job, wheels: dict[str, Any], report: dict[str, Any]) -> None:
    found = {
        one["name"]: None
        if one["status"] == "success"
        else {"name": one["name"], "error": _why(one, wheels["failed"]), "log_tail": one.get("log_tail", "")}
        for one in report["benchmarks"]
    }
    interpreters.note_smoke(conn, job.prepared["interpreter"], report["suite_version"], wheels["id"], found)  # type: ignore[index]


def _why(failed: dict[str, Any], wheels: dict[str, str]) -> str | None:
    """Why a benchmark does not run: where its wheels could not be had, what the smoke says is not the cause."""
    without = wheels.get(failed["name"])
    return failed.get("error") if without is None else f"its requirements could not be had: {without}"


def _outgoing(environ: dict[str, str]) -> str:
    return posixpath.join(environ[STATE_VARIABLE], "outgoing")


def _of_build(environ: dict[str, str], job: Job) -> tuple[str, ...]:
    interpreter = job.prepared["interpreter"]  # type: ignore[index]
    folder = posixpath.join(environ[STATE_VARIABLE], "interpreters")
    suite = suite_options(job, environ[STATE_VARIABLE])
    return ("--build", interpreter, "--interpreters", folder, *suite, *state_option(environ))
