"""The steps that bring the source of an interpreter to a worker: into its mirror, and from there into a clean tree."""

import posixpath
from typing import Any

from buildbot.process import buildstep, remotecommand
from buildbot.process.logobserver import LogLineObserver
from buildbot.process.properties import renderer
from buildbot.process.results import FAILURE, SKIPPED, SUCCESS
from buildbot.steps.source.git import Git
from twisted.internet import defer

from benchyard.steps.base import STATE_VARIABLE, LabStep, state_option, task_command, was_skipped
from benchyard.steps.prepare import END_S, PrepareStep, build_variables
from benchyard.steps.progress import TailObserver
from benchyard.store.rows import Job
from benchyard.tasks.errors import RecipeError
from benchyard.tasks.mirror import kept_ref
from benchyard.tasks.patches import CHANGES, check_changes

#: The folder of the source in a builder's own, and the property that says whether there is anything to build.
SOURCE, MISSING = "source", "to build"

#: Builds of one job that may fail to reach its source before that is its end.
TRIES = 4


def mirror_of(environ: dict[str, str]) -> str:
    """Where a worker keeps its mirror."""
    return posixpath.join(environ[STATE_VARIABLE], "mirror.git")


@renderer
def _mirror_url(properties: Any) -> str:
    return mirror_of(properties.getBuild().workerforbuilder.worker.worker_environ)


class FetchSource(PrepareStep):
    """Brings the commit into the worker's mirror; a remote that does not answer is asked again for some minutes."""

    name = "fetch source"

    async def do_for(self, job: Job) -> int:
        if not self.getProperty(MISSING):
            return int(SKIPPED)
        observer = TailObserver()
        self.addLogObserver("stdio", observer)
        source = job.spec["source"]
        where = ("--mirror", mirror_of(self.environ), *state_option(self.environ))
        rc = await self.task("fetch-source", *where, source["url"], source["commit"])
        if rc is None:
            return self.released()
        if rc == 0:
            return int(SUCCESS)
        why = observer.last_error or f"the source could not be fetched: exit status {rc}"
        return await self.later(f"{why}; trying again") if await self.tries() < TRIES else await self.fail(job, why)


class Checkout(LabStep, Git):
    """Buildbot's Git step, from the worker's mirror: a clean tree of the job's commit, with its patch on top.

    Nothing of an earlier build stays: what a compiler would find changed is not always all that has changed.
    """

    name = "checkout"

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(
            repourl=_mirror_url,
            mode="full",
            method="fresh",
            workdir=SOURCE,
            logEnviron=False,
            clobberOnFailure=True,
            progress=False,
            hideStepIf=was_skipped,
            **kwargs,
        )
        self._patching = False

    async def do(self) -> int:
        if not self.getProperty(MISSING):
            return int(SKIPPED)
        job, _attempt = await self.service.run_of(self.build)
        observer = _Rejects()
        self.addLogObserver("stdio", observer)
        self.env = build_variables(self)
        try:
            return int(await Git.run(self))
        except RecipeError as exc:
            return await self._fail(job, f"the patch is not taken: {exc}")
        except buildstep.BuildStepFailed:
            if self.stopped or self.build.conn is None:
                return self.released()
            if not self._patching:
                return await self._again(job)
            why = f"the patch does not apply to {job.spec['source']['commit'][:12]}: {observer.first or 'see the log'}"
            return await self._fail(job, why)

    async def _again(self, job: Job) -> int:
        if await self.tries() < TRIES:
            return await self.later("the source could not be checked out; trying again")
        return await self._fail(job, "the source could not be checked out; see the log")

    async def _fail(self, job: Job, why: str) -> int:
        await self.service.set_status(job.id, "failed", error=why)
        self.descriptionDone = why
        return int(FAILURE)

    def runCommand(self, command: Any) -> Any:
        """Git's commands as parts of the build, which wait while this host measures."""
        if isinstance(command, remotecommand.RemoteShellCommand):
            environ = self.worker.worker_environ
            command.command = task_command(environ, "build-step", *state_option(environ), "--", *command.command)
            command.args["sigtermTime"] = END_S
        return super().runCommand(command)

    def run_vc(self, _branch: Any, revision: Any, patch: Any) -> Any:
        """The mirror has commits and no branches."""
        return super().run_vc("HEAD", revision, patch)

    @defer.inlineCallbacks
    def patch(self, patch: Any) -> Any:
        self._patching = True
        result = yield super().patch(patch)
        self._patching = False
        return result

    @defer.inlineCallbacks
    def applyPatch(self, patch: Any) -> Any:
        """By git, which touches nothing outside of the tree and shows the lines that it did not find.

        RecipeError where it has changed anything but ordinary files.
        """
        options = ("--index", "--verbose", "--whitespace=nowarn", f"-p{patch[0]}")
        yield self._dovccmd(["apply", *options, ".buildbot-diff"])
        check_changes((yield self._dovccmd([*CHANGES], collectStdout=True)))

    @defer.inlineCallbacks
    def _fetch(self, _: Any, shallowClone: Any, abandonOnFailure: bool = True) -> Any:
        """The commit by the ref that the mirror keeps it by: no branch need lead to it."""
        yield self._dovccmd(["fetch", "-f", self.repourl, kept_ref(self.revision)], abandonOnFailure=abandonOnFailure)
        result = yield self._dovccmd(["checkout", "-f", "--detach", self.revision], abandonOnFailure=abandonOnFailure)
        return result


class _Rejects(LogLineObserver):
    """Keeps git's first word on a patch that does not apply."""

    first = ""

    def outLineReceived(self, line: str) -> None:
        if line.startswith("error: ") and not self.first and not line.startswith("error: while searching"):
            self.first = line.removeprefix("error: ").strip()

    errLineReceived = outLineReceived
