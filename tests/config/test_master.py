"""The configuration as Buildbot takes it: checked by Buildbot itself, and looked at part by part."""

import subprocess
import sys
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from buildbot.db.enginestrategy import create_engine
from buildbot.process.properties import Properties
from buildbot.worker.local import LocalWorker
from croniter import croniter

from benchyard.config.builders import capacity, coordinators, make_builders, make_lanes
from benchyard.config.locks import host_lock
from benchyard.config.master import compose
from benchyard.config.schedulers import make_schedulers
from benchyard.config.settings import SettingsError, load_settings
from benchyard.config.workers import make_workers
from benchyard.config.www import make_www
from benchyard.hosting.registration import register_host, secret_path, write_secret
from benchyard.queueing.doors import request_of_properties
from benchyard.queueing.engine import LabBuild
from benchyard.queueing.order import Lane

MakeLab = Callable[..., Path]

T = "[targets.linux]\n"


def checkconfig(root: Path) -> "subprocess.CompletedProcess[str]":
    """Run `buildbot checkconfig` on the master of the lab in `root`."""
    script = "from buildbot.scripts.runner import run; run()"
    return subprocess.run(
        [sys.executable, "-c", script, "checkconfig", str(root / "master")],
        capture_output=True,
        text=True,
        timeout=60,
        stdin=subprocess.DEVNULL,
        cwd=root,
    )


@pytest.fixture
def two_hosts(lab: MakeLab) -> Path:
    """A lab with a regular and an isolated host."""
    folder = lab(T)
    register_host(folder, "prep", role="worker", target="linux", address="localhost")
    register_host(folder, "bench", role="isolated", target="linux", address="localhost", cpus="1")
    return folder


def test_buildbot_accepts_the_shipped_configuration(made_lab: Path) -> None:
    """`buildbot checkconfig` finds nothing wrong with what `benchyard lab init` makes."""
    done = checkconfig(made_lab)
    assert (done.returncode, done.stdout.strip()) == (0, "Config file is good!"), done.stderr


def test_sqlite_stays_open(made_lab: Path) -> None:
    """Each transaction of the master's is by the connection that there is, and no file is opened for it."""
    settings = load_settings(made_lab)
    db = compose(settings)["db"]
    engine = create_engine(db["db_url"], basedir=str(made_lab / "master"), **db["engine_kwargs"])
    used = []
    for _ in range(3):
        with engine.connect() as conn, conn.begin():
            used.append(conn.connection.dbapi_connection)
    engine.dispose()
    assert engine.dialect.name == "sqlite"
    assert len(set(used)) == 1


def test_buildbot_accepts_the_shipped_example(made_lab: Path) -> None:
    """It finds nothing wrong with the example that shows every key, schedule included."""
    from importlib.resources import files

    example = (files("benchyard.config") / "templates" / "benchyard.example.toml").read_text(encoding="utf-8")
    settings = made_lab / "benchyard.toml"
    before = settings.read_text(encoding="utf-8")
    target = next(iter(load_settings(made_lab).targets))
    try:
        settings.write_text(example.replace("linux-x86_64", target), encoding="utf-8")
        for name in ("speed", "hook", "reviews"):
            write_secret(made_lab / "secrets" / f"publish-{name}", "geheim")
        done = checkconfig(made_lab)
    finally:
        settings.write_text(before, encoding="utf-8")
    assert done.returncode == 0, done.stdout + done.stderr


def test_buildbot_shows_our_line(made_lab: Path) -> None:
    """Where the settings are wrong, `buildbot checkconfig` fails with our one line, without a traceback."""
    settings = made_lab / "benchyard.toml"
    before = settings.read_text(encoding="utf-8")
    try:
        settings.write_text(before.replace("http_port", "http_prot"), encoding="utf-8")
        done = checkconfig(made_lab)
    finally:
        settings.write_text(before, encoding="utf-8")
    assert done.returncode == 1
    said = done.stdout + done.stderr
    assert "[lab] unknown key 'http_prot', did you mean 'http_port'?" in said
    assert "Traceback" not in said
    assert len([line for line in said.splitlines() if line.strip()]) <= 2


def test_missing_secret(two_hosts: Path) -> None:
    """A host without its secret's file is named with both files."""
    path = secret_path(two_hosts, "bench")
    path.unlink()
    with pytest.raises(SettingsError) as refused:
        make_workers(load_settings(two_hosts))
    assert str(refused.value) == (
        f"{path}: the secret of host 'bench' cannot be read; write one there or remove hosts.d/bench.toml"
    )


@pytest.mark.parametrize("secret", ["", "short", " " * 30])
def test_short_secret(two_hosts: Path, secret: str) -> None:
    """A secret that could be guessed is refused."""
    write_secret(secret_path(two_hosts, "bench"), secret)
    with pytest.raises(
        SettingsError, match=r"/secrets/worker-bench: shorter than 16 characters; write a longer secret"
    ):
        make_workers(load_settings(two_hosts))


def test_workers(two_hosts: Path) -> None:
    """Each host is a worker, an isolated one for one build at a time; in the master one holds each job or playbook."""
    workers = {worker.workername: worker for worker in make_workers(load_settings(two_hosts))}
    assert sorted(workers) == ["bench", *(f"linux-coordinator-{n}" for n in (1, 2, 3)), "linux-maintainer", "prep"]
    assert workers["bench"].max_builds == 1
    assert workers["prep"].max_builds is None
    assert workers["bench"].password == secret_path(two_hosts, "bench").read_text().strip()


def test_capacity(two_hosts: Path) -> None:
    """As many jobs may begin as isolated hosts have places, and one more coordinator ends refused ones."""
    settings = load_settings(two_hosts)
    assert capacity(settings, "linux") == 2
    assert len(coordinators(settings, "linux")) == 3
    assert make_lanes(settings) == {
        name: Lane("linux", stage, workers, ("bench",), 2, {"bench": "localhost", "prep": "localhost"})
        for name, stage, workers in (
            ("linux", None, tuple(coordinators(settings, "linux"))),
            ("linux-prepare", "prepare", ("prep",)),
            ("linux-measure", "measure", ("bench",)),
            ("linux-maintain", "maintain", ("linux-maintainer",)),
            ("linux-check", "check", ("bench", "prep")),
        )
    }


def test_target_without_hosts(lab: MakeLab) -> None:
    """A target that nobody measures on yet has builders, and no host that its lanes would let build."""
    settings = load_settings(lab(T))
    builders = {builder.name: builder for builder in make_builders(settings)}
    stages = ["linux-prepare", "linux-measure", "linux-maintain", "linux-check"]
    assert list(builders) == ["linux", *stages]
    lanes = make_lanes(settings)
    for stage in stages:
        assert builders[stage].workernames
        assert lanes[stage].workers == (("linux-maintainer",) if stage == "linux-maintain" else ())
    assert lanes["linux"].hosts == ()


def test_who_builds_runs_no_playbooks(two_hosts: Path) -> None:
    """What a patch is built by never has the key to the hosts: playbooks run in the master alone, where none is built.

    So it is wherever the regular worker is, and also where there is none.
    """
    register_host(two_hosts, "other", role="worker", target="linux", address="10.0.0.9")
    settings = load_settings(two_hosts)
    builders = {builder.name: set(builder.workernames) for builder in make_builders(settings)}
    local = {worker.workername for worker in make_workers(settings) if isinstance(worker, LocalWorker)}
    assert builders.pop("linux-maintain") == {"linux-maintainer"} <= local
    assert not [name for name, workers in builders.items() if "linux-maintainer" in workers]
    register_host(two_hosts, "linux-maintainer", role="worker", target="linux", address="10.0.0.9")
    with pytest.raises(SettingsError, match=r"'linux-maintainer' is a name that the lab needs for itself"):
        load_settings(two_hosts)


def test_every_builder_is_ours(two_hosts: Path) -> None:
    """All builders keep every request and use the build that cannot wedge."""
    for builder in make_builders(load_settings(two_hosts)):
        assert builder.collapseRequests is False
        assert builder.factory.buildClass is LabBuild


def test_job_is_published_step_by_step(lab: MakeLab) -> None:
    """A job's build has one step for each destination, the last ones; that of a codespeed is the card's own."""
    folder = lab(
        T
        + '[publish.speed]\nkind = "codespeed"\nurl = "https://speed.example/"\n'
        + '[publish.archive]\nkind = "git"\nurl = "/srv/results.git"\n'
    )
    register_host(folder, "bench", role="isolated", target="linux", address="localhost")
    job, *stages = make_builders(load_settings(folder))
    steps = [step.buildStep() for step in job.factory.steps]
    assert [(type(step).__name__, step.name) for step in steps[-2:]] == [
        ("UploadToCodespeed", "publish: speed"),
        ("Publish", "publish: archive"),
    ]
    names = [type(step.buildStep()).__name__ for stage in stages for step in stage.factory.steps]
    assert not {"Publish", "UploadToCodespeed"} & set(names)


def test_lock_is_of_the_machine(lab: MakeLab) -> None:
    """Hosts of one machine, however its address is spelled, share an exclusive lock; who is no host has none."""
    folder = lab(T)
    for name, address in (
        ("bench", "localhost"),
        ("bench2", "127.0.0.1"),
        ("bench3", "LOCALHOST."),
        ("far", "a.example"),
        ("far2", "A.example."),
        ("other", "b.example"),
    ):
        register_host(folder, name, role="isolated", target="linux", address=address)
    register_host(folder, "named", role="isolated", target="linux", address="lab.example", connection="local")
    access = host_lock(load_settings(folder))

    def rendered(worker: str) -> list[Any]:
        found: list[Any] = []
        access.getRenderingFor(Properties(workername=worker)).addCallback(found.extend)
        return found

    locks = {name: rendered(name)[0] for name in ("bench", "bench2", "bench3", "named", "far", "far2", "other")}
    assert {lock.mode for lock in locks.values()} == {"exclusive"}
    assert locks["bench"].lockid == locks["bench2"].lockid == locks["bench3"].lockid == locks["named"].lockid
    assert locks["far"].lockid == locks["far2"].lockid
    assert len({lock.lockid.name for lock in locks.values()}) == 3
    assert rendered("linux-coordinator-1") == []


@pytest.mark.parametrize(
    "cron",
    [
        "0 3 * * *",
        "*/15 * * * *",
        "30 2 1 * *",
        "0 3 * * 0",
        "0 3 * * 1",
        "0 3 * * 7",
        "0 3 * * 1,3",
        "0 3 * * 1-5",
        "0 3 * * sun",
        "0 3 * * mon,5",
        "0 3 * * */2",
        "0 3 1 1 *",
    ],
)
def test_schedule_fires_when_cron_would(lab: MakeLab, cron: str) -> None:
    """A schedule's next times are those of the cron line; Buildbot itself counts the days of a week from Monday."""
    text = f'{T}[schedules.n]\ncron = "{cron}"\ntargets = ["linux"]\npython = "/p"\n'
    (nightly,) = (s for s in make_schedulers(load_settings(lab(text))) if s.name == "nightly-n")
    fields = ("minute", "hour", "dayOfMonth", "month", "dayOfWeek")
    line = nightly._times_to_cron_line(*(nightly._config_kwargs[field] for field in fields))
    start = datetime(2026, 11, 22, 12) - timedelta(days=400)
    ours, theirs = croniter(cron, start), croniter(line, start)
    assert [ours.get_next() for _ in range(20)] == [theirs.get_next() for _ in range(20)]


def test_schedule_asks_for_what_it_says(lab: MakeLab) -> None:
    """A schedule's requests bear what to measure as properties, for each of its targets."""
    text = (
        '[targets.linux]\n[targets.macos]\n[schedules.n]\ncron = "0 3 * * *"\ntargets = ["linux", "macos"]\n'
        'python = "/p"\nbenchmarks = ["nbody", "-json"]\nmode = "fast"\n'
    )
    (nightly,) = (s for s in make_schedulers(load_settings(lab(text))) if s.name == "nightly-n")
    assert nightly._config_kwargs["builderNames"] == ["linux", "macos"]
    assert nightly._config_kwargs["properties"] == {
        "python": "/p",
        "benchmarks": "nbody,-json",
        "mode": "fast",
        "reason": "schedule n",
    }


def test_calibration_has_a_schedule_for_each_host(lab: MakeLab) -> None:
    """What is about the hosts themselves is one job for each isolated host of each target."""
    text = (
        '[targets.linux]\ncalibration = {python = "/p"}\n[schedules.drift]\nkind = "calibrate"\n'
        'cron = "0 4 * * *"\ntargets = ["linux"]\n'
    )
    host = 'role = "isolated"\ntarget = "linux"\n'
    folder = lab(text, b1=host, b2=host, prep='role = "worker"\ntarget = "linux"\n')
    made = [s for s in make_schedulers(load_settings(folder)) if s.name.startswith("nightly-")]
    assert [s.name for s in made] == ["nightly-drift-b1", "nightly-drift-b2"]
    for scheduler, name in zip(made, ("b1", "b2"), strict=True):
        properties = scheduler._config_kwargs["properties"]
        assert (properties["kind"], properties["host"]) == ("calibrate", name)
        request = request_of_properties(properties, target="linux")
        assert (request.kind, request.host, request.python) == ("calibrate", name, None)


def test_inner_builders_have_no_door(two_hosts: Path) -> None:
    """People can force a job, never one of its stages."""
    made = make_schedulers(load_settings(two_hosts))
    forms = [s for s in made if type(s).__name__ == "ForceScheduler"]
    assert [form.builderNames for form in forms] == [["linux"]]


def test_browsers_are_told_nothing(two_hosts: Path) -> None:
    """The plugin's configuration goes to every browser, so it is empty; the last rule matches all that changes."""
    www = make_www(load_settings(two_hosts))
    assert www["plugins"] == {"benchyard": {}}
    assert www["port"] == "tcp:8010:interface=127.0.0.1"
    assert type(www["authz"].allowRules[-1]).__name__ == "AnyControlEndpointMatcher"


def test_closed_lab(lab: MakeLab) -> None:
    """Without anonymous reading the last rule asks for a role to see anything."""
    www = make_www(load_settings(lab("[lab]\nanonymous_read = false\n" + T)))
    assert type(www["authz"].allowRules[-1]).__name__ == "AnyEndpointMatcher"
