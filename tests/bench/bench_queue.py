"""What the queue costs at any length, beside stock Buildbot in the same run; first on SQLite, then on PostgreSQL.

Five real masters, each in a process of its own, are asked in turns (ABBA) while the others rest: ours with
10, 1,000 and 10,000 jobs on the queue, and stock Buildbot with 10 and 10,000 requests. Their one builder runs builds
of one step that does nothing, on a LocalWorker. What is timed:

- pick: to choose the next request (`popNextBuild`), as the distributor does;
- cycle: from the end of a build to the end of the next;
- submit: a job made and put on the queue, or a stock buildset added, one after the other;
- list, move, pause: the first page, a move to a random position, a pause and its end.

The last line of each is a JSON object of `pick_ms`, `stock_pick_ms`, `cycle_growth` and `submit_growth` (10,000 to 10,
of medians), `submit_per_s`, `move_p95_ms`, `pause_p95_ms`, `list_p95_ms` and `master_rss_mb`, all with 10,000 jobs. The
PostgreSQL server waits for the disk at each commit, as a lab's does.
"""

import argparse
import json
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import postgresql
import psutil
import sqlalchemy as sa

from benchyard.queueing import changes, engine
from benchyard.queueing.jobs import JobService
from benchyard.queueing.order import Lane
from benchyard.queueing.requests import CheckedJob, JobRequest, JobSpec
from benchyard.queueing.runs import push_key
from benchyard.store import jobs, queues
from benchyard.store.migrate import migrate

FEW, SOME, MANY = 10, 1_000, 10_000

#: Rounds; in each every master does each operation twice, so often.
ROUNDS = 3
# What a cycle uses up comes back by submit, so that the queues keep their lengths.
TIMES = {"pick": 10, "submit": 8, "cycle": 6, "list": 10, "move": 10, "pause": 10}

TARGET, WORKER = "bench", "local"
ANSWER_S = 600.0


class Master:
    """One master inside this process; `hold` keeps its distributor from starting anything."""

    def __init__(self, folder: Path, url: str, *, ours: bool) -> None:
        self.folder, self.url, self.ours = folder, url, ours
        self.ended: list[float] = []

    async def start(self, rows: int) -> None:
        """Make the database, fill it, and bring the master up, held."""
        from buildbot.master import BuildMaster
        from twisted.internet import reactor

        if self.ours:
            engine.install()
        new = BuildMaster(str(self.folder), reactor=reactor)
        new.config.db.db_url = self.url
        await new.db.setup(check_version=False)
        await new.db.model.upgrade()
        await new.db.pool.do_with_engine(migrate)
        await new.db.pool.stop()
        self.master = BuildMaster(str(self.folder), reactor=reactor, config_loader=self._loader())
        lock = self.master.botmaster.brd.activity_lock
        await lock.acquire()
        await self.master.startService()
        assert self.master.running, "the master does not start; see its log"
        await self.master.db.pool.do(self._fill, rows)
        builder = self.master.botmaster.builders[TARGET]
        await until(lambda: builder.getAvailableWorkers(), "the worker is there")
        await self.master.mq.startConsuming(self._on_end, ("builds", None, "finished"))

    def _loader(self) -> Any:
        from buildbot.config.master import MasterConfig
        from buildbot.interfaces import IConfigLoader
        from buildbot.plugins import schedulers, util, worker
        from buildbot.process.buildstep import BuildStep
        from zope.interface import implementer

        class Nothing(BuildStep):  # type: ignore[misc]
            """Does nothing, well."""

            async def run(self) -> int:
                return 0

        lane = Lane(TARGET, None, (WORKER,), ("host",), 1)
        services = (
            [JobService(lanes={TARGET: lane}, check=found_good, max_attempts=1, remotes={}, expand=lambda _: ())]
            if self.ours
            else []
        )
        factory = util.BuildFactory([Nothing()])
        if self.ours:
            factory.buildClass = engine.LabBuild
        builder = util.BuilderConfig(name=TARGET, workernames=[WORKER], factory=factory, collapseRequests=False)
        config = {
            "workers": [worker.LocalWorker(WORKER, max_builds=1)],
            "protocols": {"null": {}},
            "builders": [builder],
            "schedulers": [schedulers.Triggerable(name="none", builderNames=[TARGET])],
            "services": services,
            "collapseRequests": False,
            "www": {},
            "db": {"db_url": self.url},
            "buildbotNetUsageData": None,
        }
        if self.ours:
            config["prioritizeBuilders"] = engine.by_name

        @implementer(IConfigLoader)
        class Loader:
            def loadConfig(self) -> Any:
                return MasterConfig.loadFromDict(config, "<bench>")

        return Loader()

    def _fill(self, conn: sa.Connection, rows: int) -> None:
        """As many waiting requests as a long night leaves, each with its job where the queue is ours."""
        model = self.master.db.model
        builder = conn.execute(sa.select(model.builders.c.id).where(model.builders.c.name == TARGET)).scalar_one()
        stamp = conn.execute(
            sa.insert(model.sourcestamps).values(
                ss_hash="s", branch=None, revision=None, repository="", codebase="", project="", created_at=1
            )
        ).inserted_primary_key[0]  # type: ignore[index]
        with conn.begin_nested():
            for number in range(1, rows + 1):
                row = {"submitted_at": 1, "complete": 0, "results": -1}
                key = push_key(TARGET, number, 1)
                buildset = conn.execute(
                    sa.insert(model.buildsets).values(external_idstring=key, reason="", **row)
                ).inserted_primary_key[0]  # type: ignore[index]
                conn.execute(sa.insert(model.buildset_sourcestamps).values(buildsetid=buildset, sourcestampid=stamp))
                request = conn.execute(
                    sa.insert(model.buildrequests).values(
                        buildsetid=buildset, builderid=builder, priority=0, waited_for=0, **row
                    )
                ).inserted_primary_key[0]  # type: ignore[index]
                if self.ours:
                    checked = found_good(asked_for(), None)
                    made = jobs.create_job(
                        conn,
                        now=1.0,
                        who="bench",
                        kind="benchmarks",
                        target=TARGET,
                        host=None,
                        spec={"python": checked.spec.python, "benchmarks": list(checked.spec.benchmarks)},
                        owner="bench",
                        origin="rest",
                        reason="",
                    )
                    queues.push(conn, made.id, now=1.0, who="bench")
                    jobs.tie_request(conn, made.id, request, push=1)
        conn.commit()

    def _on_end(self, _key: Any, _build: Any) -> None:
        self.ended.append(time.perf_counter())

    @property
    def service(self) -> Any:
        """The job service."""
        return self.master.service_manager.namedServices[engine.SERVICE]

    async def measure(self, what: str) -> list[float]:
        """Seconds of each time that `what` was done."""
        return await getattr(self, f"do_{what}")(TIMES[what])  # type: ignore[no-any-return]

    async def do_pick(self, times: int) -> list[float]:
        """Choose the next request, and put it back."""
        from buildbot.process.buildrequestdistributor import BuildRequestDistributor

        builder, took = self.master.botmaster.builders[TARGET], []
        for _ in range(times):
            begun = time.perf_counter()
            worker, request = await BuildRequestDistributor.BuildChooser(builder, self.master).popNextBuild()
            took.append(time.perf_counter() - begun)
            assert worker is not None and request is not None, "nothing was chosen"
            if self.ours:
                job = await self.service.db(jobs.job_of_request, request.id)
                await self.service.set_status(job.id, "queued")
        return took

    async def do_cycle(self, times: int) -> list[float]:
        """Let so many builds run one after the other."""
        self.ended.clear()
        self.master.botmaster.brd.activity_lock.release()
        self.master.botmaster.maybeStartBuildsForBuilder(TARGET)
        await until(lambda: len(self.ended) > times, "builds end")
        await self.master.botmaster.brd.activity_lock.acquire()
        builder = self.master.botmaster.builders[TARGET]
        await until(lambda: not builder.building and builder.getAvailableWorkers(), "the last build is over")
        return [after - before for before, after in zip(self.ended, self.ended[1:], strict=False)][:times]

    async def do_submit(self, times: int) -> list[float]:
        """Make new jobs, or stock buildsets."""
        took = []
        for _ in range(times):
            begun = time.perf_counter()
            if self.ours:
                await self.service.submit(asked_for(), owner="bench", origin="rest")
            else:
                stamp = {"codebase": "", "project": "", "repository": "", "branch": None, "revision": None}
                await self.master.data.updates.addBuildset(
                    waited_for=False,
                    sourcestamps=[stamp],
                    reason="",
                    builderids=[await self.master.data.updates.findBuilderId(TARGET)],
                )
            took.append(time.perf_counter() - begun)
        return took

    async def do_list(self, times: int) -> list[float]:
        """Read the first page of the queue."""
        return await timed(times, lambda: self.service.db(queues.list_queue, TARGET, limit=50))

    async def do_move(self, times: int) -> list[float]:
        """Move jobs to any position."""
        places, chance = await self.service.db(queues.length, TARGET), random.Random(1)  # noqa: S311 (no secret)
        waiting = [job.id for job in await self.service.db(queues.list_queue, TARGET)]

        def anywhere() -> Any:
            job, to = chance.choice(waiting), str(chance.randint(1, places))
            return changes.move(self.service, TARGET, job, to, who="bench", version=None)

        return await timed(times, anywhere)

    async def do_pause(self, times: int) -> list[float]:
        """Pause the queue, and let it go on."""

        async def both() -> None:
            await changes.pause(self.service, TARGET, who="bench", reason="")
            await changes.unpause(self.service, TARGET, who="bench")

        return [took / 2 for took in await timed(times, both)]


def asked_for() -> JobRequest:
    """A job like many."""
    return JobRequest(python="/usr/bin/python3", benchmarks=("nbody",), target=TARGET)


def found_good(request: JobRequest, _source: object) -> CheckedJob:
    """No interpreter is started: that is the same however long the queue is."""
    return CheckedJob(
        target=TARGET, host=None, spec=JobSpec(python=request.python or "", benchmarks=request.benchmarks)
    )


async def timed(times: int, work: Callable[[], Any]) -> list[float]:
    """Seconds of each time that `work` took."""
    took = []
    for _ in range(times):
        begun = time.perf_counter()
        await work()
        took.append(time.perf_counter() - begun)
    return took


async def until(condition: Callable[[], Any], what: str) -> None:
    """Wait until `condition()` is true."""
    from twisted.internet import reactor, task

    deadline = time.monotonic() + ANSWER_S
    while not condition():
        assert time.monotonic() < deadline, f"not within {ANSWER_S:.0f} s: {what}"
        await task.deferLater(reactor, 0.002)


def serve(folder: Path, url: str, *, ours: bool, rows: int) -> None:
    """Bring a master up, say so, and do what each line asks for until there are no more."""
    from twisted.internet import defer, reactor, threads
    from twisted.python import log

    with (folder / "master.log").open("w") as written:
        log.startLogging(written, setStdout=False)

        async def go() -> None:
            master = Master(folder, url, ours=ours)
            try:
                await master.start(rows)
                say({})
                while line := (await threads.deferToThread(sys.stdin.readline)).strip():
                    say({"took": await master.measure(line), "rss": psutil.Process().memory_info().rss})
            except Exception:
                log.err(None, "in the benchmark")
                say({"failed": f"see {folder}/master.log"})
            reactor.stop()

        def say(answer: dict[str, Any]) -> None:
            print(json.dumps(answer), flush=True)

        reactor.callWhenRunning(lambda: defer.ensureDeferred(go()))
        reactor.run()


class Asked:
    """A master in another process."""

    def __init__(self, folder: Path, url: str, *, ours: bool, rows: int) -> None:
        folder.mkdir()
        self.ours, self.rows, self.folder = ours, rows, folder
        self.took: dict[str, list[float]] = {}
        self.rss = 0
        argv = [
            sys.executable,
            __file__,
            "--serve",
            str(folder),
            "--url",
            url,
            "--rows",
            str(rows),
            *(["--stock"] * (not ours)),
        ]
        argv += [] if ours else ["--stock"]
        self.process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self._answer()

    def ask(self, what: str) -> None:
        """Have something done, and keep how long each time took."""
        assert self.process.stdin is not None
        self.process.stdin.write(what + "\n")
        self.process.stdin.flush()
        answer = self._answer()
        self.took.setdefault(what, []).extend(answer["took"])
        self.rss = answer["rss"]

    def _answer(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        answer: dict[str, Any] = json.loads(line or '{"failed": "it ended"}')
        if "failed" in answer:
            log = (self.folder / "master.log").read_text(errors="replace")[-3000:]
            sys.exit(f"a master failed: {answer['failed']}\n{log}")
        return answer

    def stop(self) -> None:
        """End the process, which has nothing more to read."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def median_ms(self, what: str) -> float:
        """The median of all times."""
        return statistics.median(self.took[what]) * 1e3

    def p95_ms(self, what: str) -> float:
        """The time within which 95 of 100 are over."""
        return statistics.quantiles(self.took[what], n=20)[-1] * 1e3


def main(databases: Sequence[str]) -> None:
    """Measure on each of the databases."""
    for name in databases:
        print(name, flush=True)
        if name == "sqlite":
            measure(lambda folder: f"sqlite:///{folder}/state.sqlite")
        else:
            with postgresql.running(durable=True) as server:
                measure(lambda _folder, server=server: server.new_database())  # type: ignore[misc]


def measure(url_in: Callable[[Path], str]) -> None:
    """Measure with databases that `url_in` makes for folders, and print the table and the last line."""
    with tempfile.TemporaryDirectory(prefix="benchyard-bench-") as parent:
        masters: list[Asked] = []
        try:
            for ours, rows in ((True, FEW), (True, SOME), (True, MANY), (False, FEW), (False, MANY)):
                folder = Path(parent, f"{'ours' if ours else 'stock'}{rows}")
                masters.append(Asked(folder, url_in(folder), ours=ours, rows=rows))
            for _ in range(ROUNDS):
                for what in TIMES:
                    able = [m for m in masters if m.ours or what in ("pick", "cycle", "submit")]
                    for master in [*able, *reversed(able)]:
                        master.ask(what)
        finally:
            for master in masters:
                master.stop()
    few, _some, many, _stock_few, stock = masters
    names = [f"{'ours' if m.ours else 'stock'} {m.rows:,}" for m in masters]
    print(f"{'ms (p50 / p95)':16}" + "".join(f"{name:>20}" for name in names))
    for what in TIMES:
        cells = [f"{m.median_ms(what):.1f} / {m.p95_ms(what):.1f}" if what in m.took else "" for m in masters]
        print(f"{what:16}" + "".join(f"{cell:>20}" for cell in cells))
    print(f"{'memory, MiB':16}" + "".join(f"{m.rss / 2**20:>20.0f}" for m in masters))
    last = {
        "pick_ms": many.median_ms("pick"),
        "stock_pick_ms": stock.median_ms("pick"),
        "cycle_growth": many.median_ms("cycle") / few.median_ms("cycle"),
        "submit_per_s": 1e3 / many.median_ms("submit"),
        "submit_growth": many.median_ms("submit") / few.median_ms("submit"),
        "move_p95_ms": many.p95_ms("move"),
        "pause_p95_ms": many.p95_ms("pause"),
        "list_p95_ms": many.p95_ms("list"),
        "master_rss_mb": many.rss / 2**20,
    }
    print(json.dumps({key: round(value, 3) for key, value in last.items()}))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("databases", nargs="*", help="sqlite, postgresql (default: one after the other)")
    parser.add_argument("--serve", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--url", help=argparse.SUPPRESS)
    parser.add_argument("--rows", type=int, default=0, help=argparse.SUPPRESS)
    parser.add_argument("--stock", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve(options.serve, options.url, ours=not options.stock, rows=options.rows)
    else:
        main(options.databases or ("sqlite", "postgresql"))
