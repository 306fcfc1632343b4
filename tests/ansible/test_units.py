"""What the units say, as text."""

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
