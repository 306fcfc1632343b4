"""Building an interpreter without a lab, from a repository that builds in a second."""

import json
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import msgspec
import pyperf
import pytest
from miniature import PROGRAM, Miniature

from benchyard.tasks.benchmarks import run_benchmarks
from benchyard.tasks.building import ErrorLines, build_cpython
from benchyard.tasks.errors import ArchiveError, BuildError, InterpreterError, RecipeError, TaskError
from benchyard.tasks.interpreters import program, read_record, use_interpreter
from benchyard.tasks.patches import patch_id
from benchyard.tasks.recipe import Recipe, Toolchain, build_environ, find_toolchain, interpreter_id, recipe_hash
from benchyard.tasks.smoke import check_commit, smoke
from benchyard.tasks.trees import TreeStore

TOOLS = Toolchain(cc="gcc", cc_version="gcc 12", libc="glibc 2.36", machine="x86_64", system="linux", cpus=2)
RECIPE = Recipe(commit="1" * 40, flags=("lto", "pgo"), target="t")


@pytest.fixture
def store(tmp_path: Path) -> TreeStore:
    """An empty store."""
    return TreeStore(tmp_path / "interpreters")


def build(repository: Miniature, store: TreeStore, ref: str = "main", **options: Any) -> str:
    work = store.root.parent / "work"
    return build_cpython(str(repository.path), ref, store=store, work=work, **options)


def test_built_and_measured(repository: Miniature, store: TreeStore, environments: Path, tmp_path: Path) -> None:
    """A build gives an id, and by that it is measured; the report has the full commit and flags."""
    id = build(repository, store, "v3.11.0", flags=["lto"], environ={"CFLAGS": "-O1"})
    record = read_record(store.tree(id))
    assert record.recipe.commit == repository.first
    assert set(record.seconds) == {"configure", "make", "install"}
    assert not (store.tree(id) / "lib" / "libpython3.11.a").exists()
    report = run_benchmarks(
        id, ["nbody"], mode="fast", interpreters=store, environments=environments, output=tmp_path / "out.json"
    )
    assert (report.interpreter.id, report.interpreter.commit) == (id, repository.first)
    assert report.interpreter.flags == ("lto",)
    assert report.interpreter.environ == {"CFLAGS": "-O1"}
    assert report.interpreter.toolchain == record.toolchain
    said = pyperf.BenchmarkSuite.load(str(tmp_path / "out.json")).get_benchmark("nbody").get_metadata()
    assert said["commit_id"] == repository.first
    assert said["benchyard_interpreter"] == id
    assert said["benchyard_flags"] == "lto"
    assert said["benchyard_compiler"] == record.toolchain.cc_version
    assert said["benchyard_configure_args"].endswith("--with-ensurepip=no --with-lto CFLAGS=-O1")
    assert said["benchyard_build_cpus"] == record.toolchain.cpus
    assert "benchyard_patch" not in said
    tried = smoke(id, ["nbody"], interpreters=store, environments=environments, commit=repository.first)
    assert [outcome.status for outcome in tried.benchmarks] == ["success"]


def test_free_arguments_are_flags_as_well(repository: Miniature, store: TreeStore) -> None:
    """A flag that was turned on or off by a free argument of `configure` is known as such, and so is the patch."""
    from miniature import CONFIGURE

    repository.commit(
        "Take all", configure=CONFIGURE.replace("--with-lto|", "--with-lto*|--without-lto|--disable-gil|")
    )
    patch = repository.diff(**{"python.c": PROGRAM + "/* patched */\n"})
    for flags, arguments, known in (
        (["pgo"], ["--disable-gil", "--with-lto=thin"], ("lto", "nogil", "pgo")),
        (["lto", "pgo"], ["--without-lto"], ("pgo",)),
    ):
        id = build(repository, store, flags=flags, configure_args=arguments, patch=patch)
        with use_interpreter(id, store) as (_path, interpreter):
            assert interpreter.flags == known
            assert interpreter.patch == patch_id(patch)


def test_built_once(repository: Miniature, store: TreeStore) -> None:
    """The same recipe is not built again, even if two ask at the same moment; another one is."""
    said: list[str] = []
    ids: list[str] = []
    asked = [threading.Thread(target=lambda: ids.append(build(repository, store, say=said.append))) for _ in range(2)]
    for thread in asked:
        thread.start()
    for thread in asked:
        thread.join(120)
    assert len(ids) == 2
    assert len(set(ids)) == 1
    assert sum("make: make" in line for line in said) == 1
    assert build(repository, store, flags=["pgo"]) != ids[0]
    patch = repository.diff(**{"python.c": PROGRAM + "/* patched */\n"})
    assert build(repository, store, patch=patch) not in ids


def test_broken_source(repository: Miniature, store: TreeStore) -> None:
    """The compiler's first error is the message; nothing is in the store, and a good commit builds afterwards."""
    repository.branch("broken")
    repository.commit("Break it", **{"python.c": PROGRAM.replace("argc;", "nonsense;")})
    with pytest.raises(BuildError, match=r"make failed: python.c:6:\d+: error: .*nonsense"):
        build(repository, store, "broken")
    assert not any(path.is_dir() for path in store.root.iterdir())
    assert store.has(build(repository, store, "main"))


def test_a_patch_of_a_link(repository: Miniature, store: TreeStore) -> None:
    """A patch that gives a link of the source another target is refused before anything is built."""
    (repository.path / "python.h.in").symlink_to("python.h")
    repository.commit("Link")
    (repository.path / "python.h.in").unlink()
    (repository.path / "python.h.in").symlink_to("/etc/passwd")
    lines = repository.git("diff").splitlines()
    repository.git("reset", "--quiet", "--hard")
    patch = "\n".join(line for line in lines if not line.startswith("index ")) + "\n"
    with pytest.raises(RecipeError, match=r"it changes a symbolic link, python\.h\.in;"):
        build(repository, store, patch=patch)
    assert not any(path.is_dir() for path in store.root.iterdir())


def test_unknown_option(repository: Miniature, store: TreeStore) -> None:
    """An option that this source does not know is an error: a flag must not be without effect."""
    with pytest.raises(BuildError, match="configure failed: configure: error: unrecognized options: --disable-gil"):
        build(repository, store, flags=["nogil"])


def test_patch_that_does_not_apply(repository: Miniature, store: TreeStore) -> None:
    """The patch is named, and what git says of it."""
    patch = repository.diff(**{"python.c": PROGRAM.replace("127", "126")})
    repository.commit("Other", **{"python.c": "int main(void) { return 0; }\n"})
    with pytest.raises(RecipeError, match="does not apply to this commit: .*python.c") as caught:
        build(repository, store, patch=patch)
    assert caught.value.field == "patch"


def test_program_that_is_no_python(repository: Miniature, store: TreeStore) -> None:
    """What was built and does not run as a Python is not kept."""
    repository.commit("Nothing", **{"python.c": "int main(void) { return 3; }\n"})
    with pytest.raises(BuildError, match="does not run: .*is not a Python"):
        build(repository, store)
    assert not any(path.is_dir() and path.name[0] != "." for path in store.root.iterdir())


@pytest.mark.parametrize("ref", ["nope", "-x", ""])
def test_bad_refs(repository: Miniature, store: TreeStore, ref: str) -> None:
    """Names that mean nothing are refused before anything is built."""
    with pytest.raises(RecipeError):
        build(repository, store, ref)


def test_command_line(repository: Miniature, tmp_path: Path) -> None:
    """`benchyard task build-cpython` prints the id alone; errors are one line and status 1 or 2."""
    program_ = [sys.executable, "-m", "benchyard.cli", "task", "build-cpython", str(repository.path)]
    where = ["--interpreters", str(tmp_path / "i")]
    environ = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path)}

    def run(*options: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run([*program_, *where, *options], env=environ, capture_output=True, text=True, timeout=120)

    done = run("--ref", "main")
    assert done.returncode == 0, done.stderr
    assert TreeStore(tmp_path / "i").has(done.stdout.strip())
    again = run("--branch", "main", "--json")
    assert json.loads(again.stdout)["id"] == done.stdout.strip()
    for options, status in ((["--ref", "nope"], 2), (["--ref", "main", "--flag", "x"], 2), ([], 2)):
        bad = run(*options)
        assert bad.returncode == status
        assert "Traceback" not in bad.stderr


def test_id_depends_on_all_that_counts() -> None:
    """Another commit, patch, flag, argument, variable, target, compiler or C library: another interpreter."""
    replace = msgspec.structs.replace
    base = interpreter_id(RECIPE, TOOLS)
    others = [
        interpreter_id(replace(RECIPE, commit="2" * 40), TOOLS),
        interpreter_id(replace(RECIPE, patch="3" * 64), TOOLS),
        interpreter_id(replace(RECIPE, flags=("pgo",)), TOOLS),
        interpreter_id(replace(RECIPE, configure_args=("--x",)), TOOLS),
        interpreter_id(replace(RECIPE, environ={"CC": "clang"}), TOOLS),
        interpreter_id(replace(RECIPE, target="u"), TOOLS),
        interpreter_id(RECIPE, replace(TOOLS, cc_version="gcc 13")),
        interpreter_id(RECIPE, replace(TOOLS, libc="musl")),
    ]
    assert len({base, *others}) == 9
    assert base == interpreter_id(replace(RECIPE, flags=("pgo", "lto")), replace(TOOLS, cpus=64, ccache="/x"))
    assert recipe_hash(RECIPE) == recipe_hash(replace(RECIPE, flags=("pgo", "lto")))


def test_toolchain_of_this_machine() -> None:
    """The compiler says its version; one that is not there is named."""
    assert find_toolchain().cc_version
    with pytest.raises(TaskError, match="no C compiler 'nonsense-cc'"):
        find_toolchain({"CC": "nonsense-cc"})


def test_build_is_not_the_callers() -> None:
    """Variables of the caller that could change a build do not reach it."""
    environ = build_environ({"PATH": "/bin", "CFLAGS": "-O9", "PYTHONPATH": "/x", "MAKEFLAGS": "-i"}, "/ccache")
    assert environ["PATH"].split(":")[0] == "/ccache"
    assert environ.keys().isdisjoint({"CFLAGS", "PYTHONPATH", "MAKEFLAGS"})


@pytest.mark.parametrize(
    ("lines", "first"),
    [
        (["make: *** [x] Error 1", "a.c:1:2: error: bad", "a.c:3:4: error: worse"], "a.c:1:2: error: bad"),
        (["a.c:1:2: error: bad", "cc1: No space left on device"], "cc1: No space left on device"),
        (["checking", "configure: error: no acceptable C compiler"], "configure: error: no acceptable C compiler"),
        (["x.o: undefined reference to `y'", "make: *** Error"], "x.o: undefined reference to `y'"),
        (["all is well"], None),
    ],
)
def test_first_error(lines: list[str], first: str | None) -> None:
    """The compiler's word goes before make's, and a full disk before everything."""
    errors = ErrorLines()
    for line in lines:
        errors.see(line)
    assert errors.first == first


def test_unknown_build(store: TreeStore, tmp_path: Path) -> None:
    """A build that is not in the store cannot be measured."""
    with pytest.raises(ArchiveError, match="is not in"):
        run_benchmarks("1" * 64, ["nbody"], interpreters=store, environments=tmp_path, output=tmp_path / "o.json")


def test_commit_of_an_interpreter(repository: Miniature, store: TreeStore) -> None:
    """One that says it was made from another commit is not the one that was asked for."""
    from benchyard.tasks.interpreter import inspect_interpreter

    found = inspect_interpreter(str(program(store.tree(build(repository, store)))))
    check_commit(found, "a" * 40)  # it does not know
    check_commit(msgspec.structs.replace(found, commit="aaaaaaaaaa+"), "a" * 40)
    with pytest.raises(InterpreterError, match="made from commit bbb"):
        check_commit(msgspec.structs.replace(found, commit="bbbbbbbbbb"), "a" * 40)
