"""What the settings say of the places that results are published at: one `[publish.NAME]` table for each."""

from typing import Annotated, Literal

import msgspec

from benchyard.results.patterns import END

Text = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
Seconds = Annotated[float, msgspec.Meta(gt=0, le=3600)]


class Policy(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Which results may go to a destination; an empty list lets all pass.

    Of `flags`, a result may have no other than these where any are given; `"none"` alone is a plain build. `remotes`
    are the repositories that interpreters may be built from. Results of patched interpreters leave the lab only where
    `patched` says so. `automatic` sends what is new by itself, else only what people ask for. After `give_up_h` of
    trouble a result is `failed`, and waits for someone to ask again.
    """

    grades: tuple[Literal["A", "B", "C"], ...] = ("A", "B")
    targets: tuple[Text, ...] = ()
    branches: tuple[Text, ...] = ()
    remotes: tuple[Text, ...] = ()
    flags: tuple[Text, ...] = ()
    users: tuple[Text, ...] = ()
    patched: bool = False
    automatic: bool = True
    give_up_h: Annotated[float, msgspec.Meta(gt=0, le=24 * 365)] = 24.0 * 7


class Unit(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What codespeed calls a unit, when a benchmark is new there.

    Its benchmarks are known by their names alone, so those of other units than seconds have a `suffix`.
    """

    units: Annotated[str, msgspec.Meta(min_length=1, max_length=20)]
    title: Annotated[str, msgspec.Meta(min_length=1, max_length=30)]
    less_is_better: bool = True
    suffix: Annotated[str, msgspec.Meta(max_length=30)] = ""


UNITS = {
    "second": Unit(units="seconds", title="Time"),
    "byte": Unit(units="bytes", title="Memory", suffix="-memory"),
    "integer": Unit(units="counts", title="Count", suffix="-count"),
}
"""pyperf's units, for those that the settings say nothing of."""


class Codespeed(Policy, frozen=True, kw_only=True, tag="codespeed", tag_field="kind"):
    """A codespeed, such as speed.python.org; `url` is its root.

    `executable` may have `{implementation}` and `{flags}` in it; `executables` gives what comes of that another name.
    `environments` does so for hosts, `branch_names` for branches, `benchmarks` for benchmarks. `branch` is that of
    results which have none, and `remote` the repository (the lab's first) whose branches keep their names: others' are
    REMOTE/BRANCH. `value` is what is drawn there, `statistics` what is sent beside it. `dates` are "naive" for a
    codespeed with USE_TZ = False. With a `user`, its password is the lab's secret `publish-NAME`.
    """

    url: Text
    project: Annotated[str, msgspec.Meta(min_length=1, max_length=30)] = "CPython"
    executable: Text = "{implementation}{flags}"
    executables: dict[str, Annotated[str, msgspec.Meta(min_length=1, max_length=30)]] = {}
    environments: dict[str, Annotated[str, msgspec.Meta(min_length=1, max_length=100)]] = {}
    branch: Annotated[str, msgspec.Meta(min_length=1, max_length=32)] = "main"
    branch_names: dict[str, Annotated[str, msgspec.Meta(min_length=1, max_length=32)]] = {}
    remote: str = ""
    benchmarks: dict[str, Annotated[str, msgspec.Meta(min_length=1, max_length=100)]] = {}
    units: dict[Literal["second", "byte", "integer"], Unit] = {}
    value: Literal["mean", "median"] = "mean"
    statistics: tuple[Literal["std_dev", "min", "max", "q1", "q3"], ...] = ("std_dev", "min", "max", "q1", "q3")
    dates: Literal["utc", "naive"] = "utc"
    user: str = ""
    ca_file: str = ""
    timeout_s: Seconds = 60.0
    max_body_kb: Annotated[float, msgspec.Meta(gt=0, le=100_000)] = 1000.0

    def __post_init__(self) -> None:
        """Refuse, with ValueError, what would mix up values or could not be sent."""
        suffixes = [unit.suffix for unit in (UNITS | self.units).values()]
        if len(set(suffixes)) < len(suffixes):
            raise ValueError(
                "each of the `units` needs a suffix of its own, or benchmarks of one name would be mixed up"
            )
        if ":" in self.user:
            raise ValueError("`user` cannot have a colon in it")
        if set(self.url) & set("?#"):
            raise ValueError("`url` is the root of a codespeed, without ? and #")


class GitRepository(Policy, frozen=True, kw_only=True, tag="git", tag_field="kind"):
    """A git repository with the files in bench_runner's layout and tables rendered of them.

    `url` is where it is pushed to, with ssh and the key of the lab's own user or a path; `folder` is below its root,
    or empty. `author` is as in git, NAME <MAIL>.
    """

    url: Text
    branch: Text = "main"
    folder: str = "results"
    author: Text = "benchyard <benchyard@localhost>"
    timeout_s: Seconds = 300.0


class Webhook(Policy, frozen=True, kw_only=True, tag="webhook", tag_field="kind"):
    """An address that is told of each result; signed with the lab's secret `publish-NAME` (Standard Webhooks)."""

    url: Text
    ca_file: str = ""
    timeout_s: Seconds = 30.0


class GitHub(Policy, frozen=True, kw_only=True, tag="github", tag_field="kind"):
    """Statuses at the commits of a GitHub repository, and comments with the table at its pull requests.

    `repository` is OWNER/NAME; the token is the lab's secret `publish-NAME`. `api` is another than GitHub's own.
    """

    repository: Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9_.-]+/[A-Za-z0-9_.-]+" + END)]
    comment: bool = True
    status: bool = True
    api: Text = "https://api.github.com"


DestinationSettings = Codespeed | GitRepository | Webhook | GitHub
