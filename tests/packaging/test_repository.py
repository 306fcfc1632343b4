"""What may not be in the repository, in whichever file."""

import re
import tomllib
from typing import TYPE_CHECKING

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

if TYPE_CHECKING:
    from tests.packaging.conftest import Repository

THIS = "tests/packaging/test_repository.py"
FORBIDDEN = {
    r"(?<![\w.$})/])/(work|root|opt/(wheels|pypi))/": "a path of somebody's machine",
    r"\.\./shared\b": "a path beside the repository",
    r"\b(pypi|pythonhosted|npmjs|yarnpkg|anaconda)\.(org|com)\b": "a package registry's host",
    r"(extra-)?index-url\b(?<!no-emit-index-url)|--find-links[ =]\b": "where packages come from",
}
EXCEPTIONS = {".ci/run": r"\.\./shared\b"}
"""The one script that may know of the real result files beside the repository."""


def test_no_machine_or_registry_is_named(repository: "Repository") -> None:
    """No file names a machine's path or a registry's host: a checkout works anywhere."""
    wrong = []
    for file in map(str, repository.files):
        if file == THIS:
            continue
        text = (repository.path / file).read_bytes().decode("utf-8", "replace")
        for pattern, what in FORBIDDEN.items():
            if EXCEPTIONS.get(file) != pattern:
                for found in re.finditer(pattern, text):
                    line = text.count("\n", 0, found.start()) + 1
                    wrong.append(f"{file}:{line}: {what}: {found.group()}")
    assert not wrong, "\n".join(wrong)


def test_constraints_are_names_and_versions(repository: "Repository") -> None:
    """constraints.txt pins exact versions and says nothing of where they come from."""
    line = re.compile(r"[a-z0-9-]+==[\w.!+]+( ; [\w.'<>=! ()]+)?")
    lines = (repository.path / "constraints.txt").read_text(encoding="ascii").splitlines()
    assert not [text for text in lines if not line.fullmatch(text)]


def test_constraints_cover_what_we_require(repository: "Repository") -> None:
    """Everything that pyproject.toml asks for is pinned to a version it allows."""
    project = tomllib.loads((repository.path / "pyproject.toml").read_text(encoding="utf-8"))
    groups = [
        project["project"]["dependencies"],
        *project["project"]["optional-dependencies"].values(),
        *project["dependency-groups"].values(),
    ]
    pins: dict[str, list[str]] = {}
    for text in (repository.path / "constraints.txt").read_text(encoding="ascii").splitlines():
        pin = Requirement(text)
        pins.setdefault(canonicalize_name(pin.name), []).append(str(pin.specifier).removeprefix("=="))
    for needed in map(Requirement, (text for group in groups for text in group)):
        name = canonicalize_name(needed.name)
        if name != "benchyard":
            assert any(version in needed.specifier for version in pins.get(name, [])), f"run make lock: {needed}"


def test_namespace_folders_have_no_init(repository: "Repository") -> None:
    """The five `benchyard` folders are one namespace, so none has an __init__.py."""
    assert not [file for file in repository.files if file.match("*/benchyard/__init__.py") and len(file.parts) == 3]
