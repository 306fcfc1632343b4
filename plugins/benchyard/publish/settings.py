"""What the settings say of the places that results are published at: one `[publish.NAME]` table for each."""

from typing import Annotated, Literal

import msgspec

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


class Codespeed(Policy, frozen=True, kw_only=True, tag="codespeed", tag_field="kind"):
    """A codespeed, such as speed.python.org; `url` is its root.

    `executable` may have `{implementation}` and `{flags}` in it. `environments` gives a host the name it has there,
    `benchmarks` a benchmark; `branch` is that of results which have none. With a `user`, its password is the lab's
    secret `publish-NAME`.
    """

    url: Text
    project: Annotated[str, msgspec.Meta(min_length=1, max_length=30)] = "CPython"
    executable: Text = "{implementation}{flags}"
    environments: dict[str, Text] = {}
    benchmarks: dict[str, Text] = {}
    branch: Text = "main"
    user: str = ""
    ca_file: str = ""
    timeout_s: Seconds = 60.0
    max_body_kb: Annotated[float, msgspec.Meta(gt=0, le=100_000)] = 1000.0


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

    repository: Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9_.-]+/[A-Za-z0-9_.-]+$")]
    comment: bool = True
    status: bool = True
    api: Text = "https://api.github.com"


DestinationSettings = Codespeed | GitRepository | Webhook | GitHub
