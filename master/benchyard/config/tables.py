"""What a lab's settings files have in them: one frozen struct for each kind of table."""

from typing import Annotated, Literal

import msgspec

from benchyard.hosting.machines import is_local
from benchyard.publish.notices.settings import AnyNotifier
from benchyard.publish.settings import DestinationSettings
from benchyard.queueing.requests import DEFAULT_KIND

Port = Annotated[int, msgspec.Meta(ge=1, le=65535)]
Text = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]


class Lab(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The `[lab]` table."""

    title: Text = "benchyard"
    listen: Text = "127.0.0.1"
    http_port: Port = 8010
    worker_port: Port = 9989
    worker_certificate: str = ""
    worker_key: str = ""
    url: str = ""
    db_url: Text = "sqlite:///state.sqlite"
    results: Text = "results"
    anonymous_read: bool = True
    time_limit_h: Annotated[float, msgspec.Meta(gt=0, le=24 * 30)] = 8.0
    max_attempts: Annotated[int, msgspec.Meta(ge=1, le=20)] = 2
    trash_days: Annotated[float, msgspec.Meta(gt=0, le=36500)] = 90.0
    prefetch: Annotated[int, msgspec.Meta(ge=0, le=20)] = 1
    interpreters_gb: Annotated[float, msgspec.Meta(gt=0, le=1e6)] = 20.0
    remote_urls: tuple[Text, ...] = ()
    try_port: Annotated[int, msgspec.Meta(ge=0, le=65535)] = 0
    ansible: str = ""
    stale_h: Annotated[float, msgspec.Meta(gt=0, le=24 * 365)] = 12.0
    regression_percent: Annotated[float, msgspec.Meta(gt=0, le=1000)] = 5.0
    regression_mean_percent: Annotated[float, msgspec.Meta(gt=0, le=1000)] = 1.0


class Retention(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The `[retention]` table: for how many days all results stay; of older ones one a week does, of each series.

    What is of a release, has a note, or was compared with always stays. `automatic` prunes each night; else it is done
    by `benchyard result prune`.
    """

    keep_all_days: Annotated[float, msgspec.Meta(ge=1, le=36500)] = 730.0
    automatic: bool = False


class Calibration(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The `calibration` of a target: the pinned interpreter that jobs of kind `calibrate` measure, and how.

    It is installed on each host (`python`), or built of a `ref`: a tag or a commit, which stay what they are.
    """

    python: str = ""
    ref: str = ""
    remote: str = ""
    flags: tuple[str, ...] = ()
    benchmarks: tuple[str, ...] = ()
    mode: Literal["default", "fast", "rigorous"] = "default"


class Target(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A `[targets.NAME]` table: an arch/OS pair to measure on, and how interpreters are built for it.

    `build_on` says whose compiler is used, `compiler` has its variables (CC, CFLAGS, ...), `flags` are those of every
    build. `exclude` are benchmarks that are never measured here, `suite` is measured where none is named.
    `calibration` is what tells how far two runs on a host of this target differ.
    """

    description: str = ""
    build_on: Literal["worker", "isolated"] = "worker"
    compiler: dict[str, str] = {}
    flags: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    suite: str = ""
    calibration: Calibration | None = None


class Suite(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A `[suites.NAME]` table: pyperformance's benchmarks at a `version`, or at a `ref` of a `repository`.

    With neither, they are those of the installed pyperformance. `manifests` are files with more benchmarks.
    """

    version: str = ""
    repository: str = ""
    ref: str = ""
    manifests: tuple[Text, ...] = ()


class Remote(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A `[remotes.NAME]` table: a repository to build from.

    `base` is the branch that others are compared with; `forks` is the address of an owner's fork, with `{owner}` in it.
    """

    url: Text
    base: Text = "main"
    forks: str = ""


class Measured(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What is measured without anybody asking: an installed interpreter, or one to build of a branch or tag.

    `kind` is what the jobs do; of a kind whose interpreter is pinned, there is one for each host. `upload` publishes
    their results, also where that is not automatic.
    """

    targets: Annotated[tuple[str, ...], msgspec.Meta(min_length=1)]
    kind: str = DEFAULT_KIND
    remote: str = ""
    flags: tuple[str, ...] = ()
    suite: str = ""
    benchmarks: tuple[str, ...] = ()
    mode: Literal["default", "fast", "rigorous"] = "default"
    strict: bool = False
    upload: bool = False


class Schedule(Measured, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A `[schedules.NAME]` table: a job submitted at the times of a cron line, for each of its targets."""

    cron: Text
    python: str = ""
    ref: str = ""


class Poller(Measured, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A `[pollers.NAME]` table: a job for every commit that comes to a branch of a remote."""

    branches: Annotated[tuple[str, ...], msgspec.Meta(min_length=1)]
    every_s: Annotated[float, msgspec.Meta(ge=1, le=86400 * 7)] = 300.0
    expected_h: Annotated[float, msgspec.Meta(gt=0, le=24 * 365)] = 168.0


class Host(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A `hosts.d/NAME.toml` file: what Buildbot must know of a host; its state is a row in the datastore.

    `cpus` measure. For the time of a run, `tune` sets the host's knobs, `shield` keeps others off these CPUs, and the
    `guard` waits at most `guard_wait_s` for the host to be quiet; `strict` refuses to measure on one that is not.
    `ansible_user` and `connection` are how playbooks reach it: by SSH as the lab's own user, unless said otherwise.
    """

    role: Literal["worker", "isolated"]
    target: Text
    address: Text = "localhost"
    cpus: str = ""
    name: str = ""
    tune: bool = True
    shield: bool = True
    guard: Literal["strict", "warn", "off"] = "warn"
    guard_wait_s: Annotated[float, msgspec.Meta(ge=0, le=86400)] = 60.0
    ansible_user: str = ""
    connection: str = ""

    @property
    def is_local(self) -> bool:
        """Whether the host is the master's own machine: by its address, or by how playbooks reach it."""
        return self.connection == "local" or is_local(self.address)


class File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The file `benchyard.toml`."""

    lab: Lab = Lab()
    targets: dict[str, Target] = {}
    schedules: dict[str, Schedule] = {}
    remotes: dict[str, Remote] = {}
    pollers: dict[str, Poller] = {}
    suites: dict[str, Suite] = {}
    publish: dict[str, DestinationSettings] = {}
    notify: dict[str, AnyNotifier] = {}
    retention: Retention = Retention()
