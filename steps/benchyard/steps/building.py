"""The steps that make an interpreter: find the tools, fetch the source, build it, and keep it in the lab."""

import posixpath
import time
from collections.abc import Callable
from typing import Any

import msgspec
from buildbot.process.logobserver import LogLineObserver
from buildbot.process.results import SKIPPED, SUCCESS
from twisted.internet import defer

from benchyard.steps.archives import Archives, take_archive
from benchyard.steps.base import state_option
from benchyard.steps.checkout import MISSING, SOURCE, Checkout, FetchSource
from benchyard.steps.prepare import PrepareStep
from benchyard.steps.progress import TailObserver
from benchyard.store import interpreters, jobs
from benchyard.store.rows import Job
from benchyard.tasks.building import ErrorLines
from benchyard.tasks.recipe import (
    Recipe,
    Toolchain,
    configure_command,
    install_command,
    interpreter_id,
    make_command,
    recipe_hash,
    toolchain_hash,
)

#: Properties that one step leaves to the next.
ID, TOOLCHAIN = "interpreter", "toolchain"


def recipe_of(job: Job) -> Recipe:
    """What a job's interpreter is made of."""
    source = job.spec["source"]
    return Recipe(
        commit=source["commit"],
        patch=source["patch"],
        flags=tuple(source["flags"]),
        configure_args=tuple(source["configure_args"]),
        environ=source["environ"],
        target=job.target,
    )


class FindTools(PrepareStep):
    """Asks the worker for its compiler and with that knows the interpreter's id, and whether the lab has it already.

    Nobody else builds the same until this build is over.
    """

    name = "tools"

    def __init__(self, *, archives: Archives, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.archives = archives

    async def do_for(self, job: Job) -> int:
        if job.spec.get("source") is None:
            return int(SKIPPED)
        observer = TailObserver()
        self.addLogObserver("stdio", observer)
        recipe = recipe_of(job)
        variables = [part for name, value in sorted(recipe.environ.items()) for part in ("--set", f"{name}={value}")]
        rc = await self.task("toolchain", "--json", *variables, *state_option(self.environ))
        if rc is None:
            return self.released()
        if rc != 0:
            return await self.fail(job, observer.last_error or "the worker could not say what it builds with")
        toolchain = msgspec.json.decode(observer.last_line, type=Toolchain)
        id = interpreter_id(recipe, toolchain)
        self.setProperty(ID, id, "benchyard")
        self.setProperty(TOOLCHAIN, observer.last_line, "benchyard")
        missing = not await self._take(job, id)
        if missing:
            if not await self._alone(id):
                return self.released()
            missing = not await self._take(job, id)
        self.setProperty(MISSING, missing, "benchyard")
        self.descriptionDone = f"{toolchain.cc_version}; {id[:12]} " + ("is to be built" if missing else "is there")
        return int(SUCCESS)

    async def _take(self, job: Job, id: str) -> bool:
        return bool(await self.service.db(_take, self.archives, job, id, time.time()))

    async def _alone(self, id: str) -> bool:
        """Wait until nobody else builds this; False if the step was interrupted meanwhile."""
        lock = self.service.building_of(id)
        if lock.locked:
            self.descriptionSuffix = ["waits for another job's build of the same"]
            self.updateSummary()
        turn = lock.acquire()
        await defer.DeferredList([turn, self.interrupted], fireOnOneCallback=True)
        if not turn.called:
            turn.addErrback(lambda _cancelled: None)
            turn.cancel()
            return False
        self.build.waitUntilFinished().addBoth(lambda _: lock.release())
        return not self.interrupted.called


class BuildStep(PrepareStep):
    """A step of making the interpreter; not done where the lab has it."""

    async def do_for(self, job: Job) -> int:
        if not self.getProperty(MISSING):
            return int(SKIPPED)
        return await self.make(job)

    async def make(self, job: Job) -> int:
        """Do this step's part and give Buildbot's result code."""
        raise NotImplementedError

    @property
    def toolchain(self) -> Toolchain:
        """What the worker builds with."""
        return msgspec.json.decode(self.getProperty(TOOLCHAIN), type=Toolchain)

    def folder(self, name: str) -> str:
        """The full path of something in the builder's own folder on the worker."""
        return posixpath.join(self.worker.worker_basedir, self.build.builder.config.workerbuilddir, name)


class Compile(BuildStep):
    """One command of the build: configure, make or install, while nothing is measured on this machine."""

    def __init__(self, name: str, command: Callable[["Compile", Job], list[str]], **kwargs: Any) -> None:
        super().__init__(name=name, workdir=SOURCE, **kwargs)
        self.command_of = command

    async def make(self, job: Job) -> int:
        observer = _ErrorObserver()
        self.addLogObserver("stdio", observer)
        ccache = ("--ccache", self.toolchain.ccache) if self.toolchain.ccache else ()
        argv = self.command_of(self, job)
        fresh = ("--remove", self.folder("installed")) if self.name == "install" else ()
        began = time.monotonic()
        rc = await self.task("build-step", *state_option(self.environ), *ccache, *fresh, "--", *argv)
        if rc is None:
            return self.released()
        self.setProperty(f"{self.name} seconds", round(time.monotonic() - began, 3), "benchyard")
        if rc == 0:
            return int(SUCCESS)
        why = f"{self.name} failed: {observer.lines.first or observer.last_line or f'exit status {rc}'}"
        await self.addCompleteLog("error", why + "\n")
        return await self.fail(job, why)


class KeepInterpreter(BuildStep):
    """Packs what was installed, brings it to the lab, and makes it known: then, and not before, it is there."""

    name = "keep"

    def __init__(self, *, archives: Archives, **kwargs: Any) -> None:
        super().__init__(workdir=SOURCE, **kwargs)
        self.archives = archives

    async def make(self, job: Job) -> int:
        id, archive = self.getProperty(ID), self.folder("interpreter.tar.gz")
        observer = TailObserver()
        self.addLogObserver("stdio", observer)
        recipe = recipe_of(job)
        rc = await self.task(
            *("pack-interpreter", id, "--installed", self.folder("installed"), "--archive", archive),
            *("--recipe", msgspec.json.encode(recipe).decode(), "--toolchain", self.getProperty(TOOLCHAIN)),
            *state_option(self.environ),
        )
        if rc is None:
            return self.released()
        if rc != 0:
            return await self.fail(job, observer.last_error or "the interpreter could not be packed")
        packed = msgspec.json.decode(observer.last_line)
        wrong = await take_archive(self, archive, self.archives.path("interpreters", id), packed["sha256"])
        if self.cut_off:
            return self.released()
        if wrong is not None:
            return await self.fail(job, f"the interpreter could not be kept: {wrong}")
        names = ("configure", "make", "install")
        record = {**packed["record"], "seconds": {name: self.getProperty(f"{name} seconds") for name in names}}
        await self.service.db(
            _keep,
            self.archives,
            job,
            id,
            target=job.target,
            recipe=recipe_hash(recipe),
            toolchain=toolchain_hash(self.toolchain),
            record=record,
            sha256=packed["sha256"],
            size=packed["size"],
            now=time.time(),
        )
        self.descriptionDone = f"Python {record['version']}, {packed['size'] / 1e6:.1f} MB"
        return int(SUCCESS)


def _take(conn: Any, archives: Archives, job: Job, id: str, now: float) -> bool:
    """Whether the lab has the interpreter; then it is the job's, and is not dropped before that was measured."""
    if not archives.has(interpreters.lock_interpreter(conn, id)):
        return False
    interpreters.use_interpreter(conn, id, now=now)
    jobs.set_prepared(conn, job.id, {**(job.prepared or {}), "interpreter": id})
    return True


def _keep(conn: Any, archives: Archives, job: Job, id: str, **made: Any) -> None:
    """Make known what was built for a job; what nobody needs makes room for it."""
    interpreters.add_interpreter(conn, id, job_id=job.id, **made)
    jobs.set_prepared(conn, job.id, {**(job.prepared or {}), "interpreter": id})
    archives.drop_old(conn)


def build_steps(archives: Archives) -> list[Any]:
    """The steps from a job's spec to its interpreter in the lab."""
    return [
        FindTools(archives=archives),
        FetchSource(),
        Checkout(),
        Compile("configure", lambda step, job: configure_command(recipe_of(job))),
        Compile("make", lambda step, job: make_command(step.toolchain)),
        Compile("install", lambda step, job: install_command(step.folder("installed"))),
        KeepInterpreter(archives=archives),
    ]


class _ErrorObserver(LogLineObserver):
    """Looks for what says why a build failed, and keeps the last line."""

    def __init__(self) -> None:
        super().__init__()
        self.lines = ErrorLines()
        self.last_line = ""

    def outLineReceived(self, line: str) -> None:
        self.lines.see(line)
        self.last_line = line.strip() or self.last_line

    errLineReceived = outLineReceived
