"""What is in the wheel and the sdist, and what each extra brings."""

import hashlib
import tarfile
import zipfile
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

if TYPE_CHECKING:
    from tests.packaging.conftest import Repository


def contents(wheel: Path) -> dict[str, str]:
    """Each member of a wheel with the digest of its bytes."""
    with zipfile.ZipFile(wheel) as archive:
        return {name: hashlib.sha256(archive.read(name)).hexdigest() for name in archive.namelist()}


def requirements(wheel: Path) -> list[str]:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        return metadata.PathDistribution(zipfile.Path(archive, str(Path(name).parent) + "/")).requires or []


def installed_with(wheel: Path, *extras: str) -> set[str]:
    """The names of all distributions that an install of our wheel with these extras brings."""
    seen: set[tuple[str, str]] = set()
    todo = [("benchyard", extra) for extra in ("", *extras)]
    while todo:
        name, extra = todo.pop()
        if (name, extra) in seen:
            continue
        seen.add((name, extra))
        lines = requirements(wheel) if name == "benchyard" else (metadata.requires(name) or [])
        for needed in map(Requirement, lines):
            if needed.marker is None or needed.marker.evaluate({"extra": extra}):
                todo += [(canonicalize_name(needed.name), wanted) for wanted in ("", *needed.extras)]
    return {name for name, _ in seen} - {"benchyard"}


def test_wheel_holds_all_and_only_our_files(wheel: Path, repository: "Repository") -> None:
    """Every file below the five `benchyard` folders, and the playbooks, are in the wheel, and nothing else."""
    expected = {
        name.as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for name, path in repository.packaged().items()
    }
    found = {name: digest for name, digest in contents(wheel).items() if ".dist-info/" not in name}
    assert found == expected


def test_namespace_has_no_module_of_its_own(wheel: Path) -> None:
    """`benchyard` is a namespace: no file lies directly in it, in whichever folder."""
    assert not [name for name in contents(wheel) if name.count("/") == 1 and name.startswith("benchyard/")]


def test_sdist_builds_the_same_wheel(wheel: Path, sdist: Path, repository: "Repository", tmp_path: Path) -> None:
    """The wheel made from the sdist has the same members and bytes as the one made from the checkout."""
    with tarfile.open(sdist) as archive:
        archive.extractall(tmp_path / "source", filter="data")
    (source,) = (tmp_path / "source").iterdir()
    again = repository.build(source, "wheel", tmp_path / "wheel")
    assert again.name == wheel.name
    assert contents(again) == contents(wheel)


def test_sdist_has_the_tests(sdist: Path, repository: "Repository") -> None:
    """The sdist holds what a packager needs to check the distribution: tests, Makefile, constraints."""
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    wanted = {"Makefile", "constraints.txt", "LICENSE", "README.md", "pyproject.toml"}
    wanted |= {file.as_posix() for file in repository.files if file.parts[0] == "tests"}
    assert wanted <= names


@pytest.mark.parametrize(
    ("extras", "present", "absent"),
    [
        ([], {"click", "httpx"}, {"twisted", "buildbot", "buildbot-worker", "pyperf", "sqlalchemy", "numpy"}),
        (
            ["tasks"],
            {"pyperf", "pyperformance", "psutil"},
            {"twisted", "buildbot", "buildbot-worker", "numpy"},
        ),
        (["worker"], {"buildbot-worker", "twisted", "pyperf"}, {"buildbot", "buildbot-www", "sqlalchemy"}),
        (["master"], {"buildbot", "buildbot-www", "buildbot-worker", "alembic", "pyperf"}, {"ansible", "ansible-core"}),
        (["ansible"], {"ansible-core"}, {"ansible", "twisted", "buildbot"}),
    ],
    ids=["client", "tasks", "worker", "master", "ansible"],
)
def test_extras_bring_what_they_say(wheel: Path, extras: list[str], present: set[str], absent: set[str]) -> None:
    """A client has no Twisted, a worker has no master's Buildbot, and the master has all."""
    found = installed_with(wheel, *extras)
    assert present <= found
    assert not absent & found
