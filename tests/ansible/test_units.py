"""What the units say, as text."""

import os
import shlex
import subprocess
from pathlib import Path
from typing import Any

import jinja2
import pytest
import yaml
from playbooks import ANSIBLE

HOME, LAB, WORKER, BACKUPS = "/var/lib/benchyard", "/srv/of/lab", "/srv/of/worker", "/srv/backups"


def unit(role: str, name: str, **variables: Any) -> dict[str, list[str]]:
    """A unit's settings by their names, with the defaults of its role and of `common` that are plain values."""
    said: dict[str, Any] = {}
    for each in ("common", role):
        said |= yaml.safe_load((ANSIBLE / f"roles/{each}/defaults/main.yml").read_text(encoding="utf-8"))
    said |= {"benchyard_role": "worker", "benchyard_lab_dir": LAB, "benchyard_worker_dir": WORKER, **variables}
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined, trim_blocks=True, autoescape=False)  # noqa: S701
    template = (ANSIBLE / f"roles/{role}/templates/{name}.service.j2").read_text(encoding="utf-8")
    found: dict[str, list[str]] = {}
    for line in environment.from_string(template).render(said).splitlines():
        key, _, value = line.partition("=")
        found.setdefault(key, []).append(value)
    return found


@pytest.mark.parametrize(
    ("role", "name", "paths"),
    [
        ("worker", "benchyard-worker", {HOME, WORKER}),
        ("master", "benchyard-lab", {HOME, LAB}),
        ("master", "benchyard-backup", {LAB, BACKUPS}),
    ],
)
def test_programs_can_write_in_their_folders(role: str, name: str, paths: set[str]) -> None:
    """Wherever these are, and where else it is said."""
    assert paths_of(unit(role, name, benchyard_backup_dir=BACKUPS)) == paths
    more = {"benchyard_backup_dir": BACKUPS, "benchyard_writable_paths": ["/big/results"]}
    assert paths_of(unit(role, name, **more)) == {*paths, "/big/results"}


def paths_of(said: dict[str, list[str]]) -> set[str]:
    """Where a unit's program may write."""
    return {path for line in said["ReadWritePaths"] for path in line.split()}


@pytest.mark.parametrize("chore", ["apt-daily", "man-db"])
def test_a_chore_of_any_user_looks_whether_a_run_has_the_host(chore: str) -> None:
    """As root, which may become the worker's user, while the chore may be another's (man-db is `man`'s)."""
    (condition,) = unit("isolated", "chore", item=[chore, "service"])["ExecCondition"]
    assert condition.startswith("+/usr/sbin/runuser -u benchyard -- /usr/bin/flock ")


def test_what_a_killed_backup_has_left_goes(tmp_path: Path) -> None:
    """A day later; what one that is under way writes stays, and so do backups."""
    old, new = (f".lab-{time}.tar.gz.part-{pid}" for time, pid in (("20260101T033000", 7), ("20260103T033000", 8)))
    kept = {new, ".backup-new", "lab-20260101T033000.tar.gz"}
    for name in (*kept, old, ".backup-old"):
        (tmp_path / name).mkdir() if name.startswith(".backup") else (tmp_path / name).touch()
    (tmp_path / ".backup-old/database.sqlite").touch()
    for name in (old, ".backup-old", "lab-20260101T033000.tar.gz"):
        os.utime(tmp_path / name, (1, 1))
    (command,) = unit("master", "benchyard-backup", benchyard_backup_dir=str(tmp_path))["ExecStartPre"]
    subprocess.run(shlex.split(command), check=True, timeout=60)
    assert {path.name for path in tmp_path.iterdir()} == kept
