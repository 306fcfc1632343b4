"""Suites of benchmarks: a release, a commit, and further manifests."""

import shutil
import subprocess
import sys
from pathlib import Path

import pyperf
import pytest
from spinning import write_manifest

from benchyard.tasks.archive import pack
from benchyard.tasks.benchmarks import run_benchmarks
from benchyard.tasks.errors import ArchiveError, SourceError, SuiteError, TaskError
from benchyard.tasks.suite import check_suite_tree, installed_suite, open_suite
from benchyard.tasks.suitemaking import make_suite
from benchyard.tasks.trees import TreeStore


@pytest.fixture
def store(tmp_path: Path) -> TreeStore:
    """Where suites are kept."""
    return TreeStore(tmp_path / "suites")


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    """A manifest beside the suite's own."""
    return write_manifest(tmp_path / "own")


@pytest.fixture(scope="session")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A git repository with pyperformance's files, of which the second commit has one benchmark less."""
    import pyperformance

    path = tmp_path_factory.mktemp("git") / "pyperformance"
    shutil.copytree(
        Path(pyperformance.__file__).parent, path / "pyperformance", ignore=shutil.ignore_patterns("__pycache__")
    )

    def git(*arguments: str) -> None:
        subprocess.run(
            ["git", "-c", "user.name=x", "-c", "user.email=x@y", *arguments], cwd=path, check=True, capture_output=True
        )

    git("init", "--quiet", "--initial-branch=main")
    git("add", "--all", "--force")
    git("commit", "--quiet", "--message", "All")
    git("tag", "all")
    listed = path / "pyperformance/data-files/benchmarks/MANIFEST"
    listed.write_text("".join(line for line in listed.read_text().splitlines(True) if line != "nbody\t<local>\n"))
    git("commit", "--quiet", "--all", "--message", "Leave out nbody")
    return path


def test_a_manifest_beside_the_installed_suite(store: TreeStore, manifest: Path, tmp_path: Path) -> None:
    """Its benchmark is selected, measured with the loops asked for, and the file says of which suite it is."""
    made = make_suite(store, work=tmp_path, manifests=[manifest])
    suite = open_suite(store.tree(made.id))
    assert suite.label == f"{installed_suite().label}+m{made.id[:8]}"
    assert set(suite.select(["all"])) == {*installed_suite().select(["all"]), "spin"}
    output = tmp_path / "spin.json"
    report = run_benchmarks(
        sys.executable,
        ["own"],
        mode="fast",
        suite=suite,
        loops={"spin": 3, "other": 5},
        output=output,
        environments=tmp_path / "environments",
    )
    assert (report.suite_version, [outcome.name for outcome in report.benchmarks]) == (suite.label, ["spin"])
    benchmark = pyperf.BenchmarkSuite.load(str(output)).get_benchmark("spin")
    assert benchmark.get_metadata()["loops"] == 3
    assert benchmark.get_metadata()["performance_version"] == suite.label


def test_the_same_is_the_same(store: TreeStore, manifest: Path, tmp_path: Path) -> None:
    """Made again it has the same id; with a changed benchmark another one."""
    first = make_suite(store, work=tmp_path, manifests=[manifest])
    assert make_suite(store, work=tmp_path, manifests=[manifest]) == first
    script = manifest.parent / "bm_spin" / "run_benchmark.py"
    script.write_text(script.read_text().replace("20_000", "30_000"))
    assert make_suite(store, work=tmp_path, manifests=[manifest]).id != first.id
    assert [path.name for path in store.root.iterdir() if path.name.startswith(".making")] == []


def test_a_release(store: TreeStore, tmp_path: Path) -> None:
    """An earlier release of pyperformance is fetched, and has its own benchmarks."""
    made = make_suite(store, work=tmp_path, version="1.11.0")
    suite = open_suite(store.tree(made.id))
    assert (made.version, suite.label) == ("1.11.0", "1.11.0")
    older, newer = set(suite.select(["all"])), set(installed_suite().select(["all"]))
    assert "nbody" in older
    assert newer - older


def test_a_commit(store: TreeStore, repository: Path, tmp_path: Path) -> None:
    """A branch is its commit now, a tag another; each has the benchmarks that are in it."""
    now = make_suite(store, work=tmp_path, repository=repository.as_uri(), ref="main")
    before = make_suite(store, work=tmp_path, repository=repository.as_uri(), ref="all")
    assert now.commit is not None and now.label == f"{installed_suite().label}+g{now.commit[:8]}"
    assert "nbody" not in open_suite(store.tree(now.id)).select(["all"])
    assert "nbody" in open_suite(store.tree(before.id)).select(["all"])


def test_there_and_back(store: TreeStore, manifest: Path, tmp_path: Path) -> None:
    """Packed and unpacked elsewhere it is the same suite, and nothing else passes for it."""
    made = make_suite(store, work=tmp_path, manifests=[manifest])
    packed = pack(store.tree(made.id), tmp_path / "suite.tar.gz")
    other = TreeStore(tmp_path / "other")
    other.add(made.id, tmp_path / "suite.tar.gz", sha256=packed.sha256)
    check_suite_tree(other.tree(made.id), made.id)
    assert open_suite(other.tree(made.id)).select(["spin"]) == ("spin",)
    with pytest.raises(ArchiveError, match="another suite"):
        check_suite_tree(other.tree(made.id), "0" * 64)


BAD: list[tuple[dict[str, object], type[TaskError], str]] = [
    ({"version": "1.14.0", "repository": "file:///x", "ref": "main"}, SuiteError, "not of both"),
    ({"repository": "file:///x"}, SuiteError, "go together"),
    ({"version": "--no-deps"}, SuiteError, "no version of pyperformance"),
    ({"version": "999.0.0"}, SuiteError, "cannot be had"),
    ({"repository": "ext::sh -c id", "ref": "main"}, SourceError, "transport 'ext' not allowed"),
    ({"repository": "file:///nowhere", "ref": "main"}, SourceError, "nowhere"),
    ({"manifests": [Path("/nowhere/MANIFEST")]}, SuiteError, "no manifest"),
]


@pytest.mark.parametrize(("asked", "error", "why"), BAD)
def test_what_cannot_be_had(
    store: TreeStore, tmp_path: Path, asked: dict[str, object], error: type[TaskError], why: str
) -> None:
    """Refused in one line, and nothing is left of it."""
    with pytest.raises(error, match=why) as refused:
        make_suite(store, work=tmp_path, **asked)  # type: ignore[arg-type]
    assert "\n" not in str(refused.value)
    assert not store.root.exists() or list(store.root.iterdir()) == []


def test_a_manifest_that_leads_elsewhere(store: TreeStore, tmp_path: Path) -> None:
    """A benchmark's files must be in the manifest's own directory: others would not reach the host."""
    elsewhere = write_manifest(tmp_path / "elsewhere")
    manifest = write_manifest(tmp_path / "own", metafile=str(elsewhere.parent / "bm_spin" / "pyproject.toml"))
    with pytest.raises(SuiteError, match="spin: .*in its own directory"):
        make_suite(store, work=tmp_path, manifests=[manifest])


def test_a_manifest_with_garbage(store: TreeStore, tmp_path: Path) -> None:
    """What is no manifest is refused, and named."""
    manifest = write_manifest(tmp_path / "own")
    manifest.write_text("nonsense\n")
    with pytest.raises(SuiteError, match="manifest of .* cannot be read"):
        make_suite(store, work=tmp_path, manifests=[manifest])


def test_a_benchmark_declared_twice(store: TreeStore, tmp_path: Path) -> None:
    """A manifest may not redefine what pyperformance has."""
    manifest = write_manifest(tmp_path / "own")
    manifest.write_text(manifest.read_text().replace("spin\t", "nbody\t"))
    with pytest.raises(SuiteError, match="nbody"):
        make_suite(store, work=tmp_path, manifests=[manifest])


def test_no_suite(tmp_path: Path) -> None:
    """A directory that is none is refused, with what to do."""
    with pytest.raises(SuiteError, match="make-suite"):
        open_suite(tmp_path)
