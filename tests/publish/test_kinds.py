"""Git repositories and GitHub as destinations of a lab: by its settings, through its outbox, and back again."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from githubserver import GitHub, serving
from gitremote import Remote
from publications import file_of, path_of

from benchyard.publish import outbox
from benchyard.publish.service import find_publisher
from benchyard.store import jobs, results

COMMIT = "0000001".ljust(40, "0")

SETTINGS = """\
[targets.linux-x86_64]

[publish.mirror]
kind = "git"
url = "{remote}"
author = "The lab <lab@example.org>"

[publish.gh]
kind = "github"
repository = "anna/cpython"
api = "{api}"
"""


def add_result(conn: Any, folder: Path, *, number: int, mean: float, base_job: int | None = None) -> Any:
    """A result of a pull request that a job of the lab has measured, with its file."""
    data = file_of({"nbody": [mean, mean * 1.001, mean * 0.999]}, benchyard_grade="A")
    path = folder / "results" / path_of(number)
    path.parent.mkdir(parents=True)
    path.write_bytes(data)
    how: dict[str, Any] = {"kind": "benchmarks", "target": "linux-x86_64", "host": None, "spec": {}, "owner": "ada"}
    job = jobs.create_job(
        conn, now=1.0, who="ada", origin="rest", reason="", status="success", base_job=base_job, **how
    )
    return results.add_result(
        conn,
        now=2.0,
        who="lab",
        job_id=job.id,
        attempt=1,
        host="bench1",
        target=job.target,
        interpreter={"url": "https://github.com/anna/cpython", "ref": "refs/pull/12/head", "remote": "upstream"},
        commit=COMMIT,
        branch=None,
        version="3.16.0a0",
        flags=(),
        suite="pyperformance",
        suite_version="1.14.0",
        mode="fast",
        path=path_of(number),
        sha256=hashlib.sha256(data).hexdigest(),
        size=len(data),
        benchmarks=1,
        grade="A",
    )


def disable(conn: Any, places: Any, result_id: int, *, now: float) -> Any:
    """What REST does when a result is disabled."""
    row = results.enable_result(conn, result_id, False, now=now, who="ada")
    return outbox.take_back(conn, places, row, now=now, who="ada")


def test_through_the_outbox(
    start_master: Callable[..., Any],
    spin: Callable[..., Any],
    tmp_path: Path,
) -> None:
    """A result with its base arrives at both, and is withdrawn from both when it is disabled."""
    from benchyard.config.master import master_config
    from benchyard.config.settings import load_settings

    remote, github = Remote(tmp_path / "remote.git"), GitHub()
    github.commits.add(COMMIT)
    github.pulls.add(12)
    lab = tmp_path / "lab"
    for name in ("secrets", "results"):
        (lab / name).mkdir(parents=True)
    (lab / "secrets" / "publish-gh").write_text("secret-token\n")
    with serving(github) as api:
        (lab / "benchyard.toml").write_text(SETTINGS.format(remote=remote.path, api=api))
        free_port = {"pb": {"port": "tcp:0:interface=127.0.0.1"}}
        master = start_master({**master_config(load_settings(lab)), "protocols": free_port})
        service = find_publisher(master)
        assert service is not None

        async def publish() -> Any:
            base = await service.db(add_result, lab, number=1, mean=0.2)
            head = await service.db(add_result, lab, number=2, mean=0.1, base_job=base.job_id)
            sent = [await service.wait_for(one.id, limit_s=30.0) for one in await service.file_new(head, wanted=False)]
            return head, sorted((one.destination, one.state, one.words, one.link) for one in sent)

        head, sent = spin(publish())
        (comment,) = github.comments
        commit = remote.git("rev-parse", "main")
        assert sent == [
            ("gh", "sent", f"status at {COMMIT[:10]}, comment at #12", comment["html_url"]),
            ("mirror", "sent", f"commit {commit[:10]} on main", None),
        ]
        assert "2.00x faster" in comment["body"]
        assert remote.read(f"results/{path_of(2)}") == (lab / "results" / path_of(2)).read_bytes()
        assert "2.00x faster" in remote.text("results/README.md")

        async def withdraw() -> None:
            filed = await service.db(disable, service.places, head.id, now=service.now())
            assert len(filed) == 2
            service.wake(filed)
            for one in filed:
                assert (await service.wait_for(one.id, limit_s=30.0)).state == "sent"

        spin(withdraw())
        assert set(remote.files()) == {"results/README.md"}
        assert "withdrawn by the lab" in github.comments[0]["body"]
    assert github.wrong == []


@pytest.mark.parametrize(
    ("line", "key"),
    [
        ('url = "-o"', "url"),
        ('url = "ext::sh -c x"', "url"),
        ('url = "https://anna:secret@example.org/x"', "url"),
        ('branch = "../main"', "branch"),
        ('branch = "--mirror"', "branch"),
        ('folder = "../x"', "folder"),
        ('folder = ".git"', "folder"),
        ('folder = "/x"', "folder"),
        ('author = "Anna"', "author"),
        ('author = "Anna <a@b>\\nX"', "author"),
    ],
)
def test_settings(tmp_path: Path, line: str, key: str) -> None:
    """What git could take for something else is no address, branch, folder or author; nor is one with a password."""
    from benchyard.config.reading import SettingsError
    from benchyard.config.settings import load_settings

    lines = {"url": 'url = "git@example.org:x"', key: line}
    settings = "\n".join(["[targets.linux-x86_64]", "[publish.mirror]", 'kind = "git"', *lines.values()])
    (tmp_path / "benchyard.toml").write_text(settings)
    with pytest.raises(SettingsError, match=key) as caught:
        load_settings(tmp_path)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "url", ["git@github.com:a/b.git", "ssh://git@h/x", "https://h/x.git", "/srv/x.git", "file:///x"]
)
def test_good_settings(tmp_path: Path, url: str) -> None:
    """The usual addresses are taken."""
    from benchyard.config.settings import load_settings

    (tmp_path / "benchyard.toml").write_text(
        f'[targets.linux-x86_64]\n[publish.mirror]\nkind = "git"\nurl = "{url}"\nfolder = ""\nbranch = "a/b-c"\n'
    )
    assert load_settings(tmp_path)
