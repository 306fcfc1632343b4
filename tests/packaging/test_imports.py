"""Imports point one way (DESIGN: which package may import which), and importing does no work."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.packaging.conftest import Repository

SHARED = {"results", "store"}
INNER = {"queueing", "publish", "hosting", "access"}

ALLOWED: dict[str, set[str]] = {
    "cli": {"client"},
    "client": set(),
    "lab": {"config", "daemon", "tasks", "store", "access", "hosting", "client", "results"},
    "config": {"web", "steps", "tasks"} | INNER | SHARED,
    "steps": {"tasks", "publish"} | SHARED,
    "web": INNER | SHARED,
    **dict.fromkeys(INNER, SHARED),
    "daemon": set(),
    "worker": {"tasks"},
    "tasks": set(),
    "store": set(),
    "results": set(),
}
"""Which package may import which, besides itself."""

LAZILY: dict[str, set[str]] = {"cli": {"tasks", "daemon", "lab", "config"}}
"""The same for imports inside a function, or for types only: they cost nothing until they are used."""

WITHOUT_BUILDBOT = ("tasks", "daemon", "client", "cli")
"""Packages that work where neither Buildbot nor Twisted is installed."""

SCRIPTS = {"benchyard.store.migrations.env"}
"""Run by Alembic, which offers no other way to say what a migration does; nobody imports them."""


@dataclass(frozen=True)
class Import:
    """One name imported by a module of ours."""

    name: str
    line: int
    lazy: bool


def imports_of(module: str, path: Path) -> Iterator[Import]:
    """All imports of a file, relative ones made absolute; `from a import b` counts as `a.b`."""
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    yield from _walk(ast.parse(path.read_bytes(), str(path)), package, lazy=False)


def _walk(node: ast.AST, package: str, lazy: bool) -> Iterator[Import]:
    if isinstance(node, ast.Import):
        for alias in node.names:
            yield Import(alias.name, node.lineno, lazy)
    elif isinstance(node, ast.ImportFrom):
        parents = package.split(".")
        base = ".".join(parents[: len(parents) - node.level + 1]) if node.level else ""
        origin = ".".join(part for part in (base, node.module) if part)
        for alias in node.names:
            yield Import(f"{origin}.{alias.name}", node.lineno, lazy)
    elif isinstance(node, ast.Call) and _is_import_call(node):
        (name,) = (argument.value for argument in node.args[:1] if isinstance(argument, ast.Constant))
        yield Import(str(name), node.lineno, lazy)
    inner = lazy or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
    if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
        inner = True
    for child in ast.iter_child_nodes(node):
        yield from _walk(child, package, inner)


def _is_import_call(node: ast.Call) -> bool:
    called = ast.unparse(node.func)
    literal = bool(node.args) and isinstance(node.args[0], ast.Constant)
    return literal and called in {"import_module", "importlib.import_module", "__import__"}


def our_package(name: str) -> str | None:
    """The package of ours that a dotted name is in, if any: "benchyard.store.jobs" is in "store"."""
    parts = name.split(".")
    return parts[1] if parts[0] == "benchyard" and len(parts) > 1 else None


def test_imports_point_one_way(repository: "Repository") -> None:
    """No module imports a package of ours that its own may not import."""
    wrong = []
    for module, path in repository.modules().items():
        own = our_package(module)
        assert own in ALLOWED, f"{path}: say in ALLOWED which packages benchyard.{own} may import"
        for found in imports_of(module, path):
            other = our_package(found.name)
            permitted = ALLOWED[own] | (LAZILY.get(own, set()) if found.lazy else set())
            if other is not None and other != own and other not in permitted:
                wrong.append(f"{path.relative_to(repository.path)}:{found.line}: {own} may not import {other}")
    assert not wrong, "\n".join(dict.fromkeys(wrong))


def test_allowed_imports_have_no_circle() -> None:
    """The table itself points one way: no package can come to import itself through others."""
    done: set[str] = set()

    def visit(name: str, above: tuple[str, ...]) -> None:
        assert name not in above, " -> ".join((*above, name))
        if name not in done:
            for other in ALLOWED[name] | LAZILY.get(name, set()):
                visit(other, (*above, name))
            done.add(name)

    for name in ALLOWED:
        visit(name, ())


def test_forms_of_import_are_seen(tmp_path: Path) -> None:
    """Absolute, relative, lazy, type-only and called imports are all found by the check above."""
    path = tmp_path / "module.py"
    path.write_text(
        "import benchyard.a\n"
        "from benchyard import b\n"
        "from ..c import x\n"
        "from . import d\n"
        "if TYPE_CHECKING:\n    import benchyard.e\n"
        "def f():\n    from benchyard.g import y\n"
        "h = import_module('benchyard.h')\n"
    )
    found = {(i.name, i.lazy) for i in imports_of("benchyard.own.module", path)}
    assert found == {
        ("benchyard.a", False),
        ("benchyard.b", False),
        ("benchyard.c.x", False),
        ("benchyard.own.d", False),
        ("benchyard.e", True),
        ("benchyard.g.y", True),
        ("benchyard.h", False),
    }


WATCHED_IMPORT = """
import importlib, os, sys

ours, theirs = sys.argv[1].split(), sys.argv[2].split()
# What other people's packages do when they are imported is not ours to judge: that happens before we look.
for name in theirs:
    try:
        importlib.import_module(name)
    except ImportError:
        pass  # the name is a class or function, or is not for this system

WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
FORBIDDEN = (
    "socket.", "subprocess.", "os.system", "os.exec", "os.fork", "os.posix_spawn", "os.spawn", "os.mkdir",
    "os.remove", "os.rename", "os.rmdir", "os.truncate", "os.chmod", "os.putenv", "os.unsetenv", "os.kill",
    "shutil.", "tempfile.", "sqlite3.", "signal.", "_thread.start_new_thread", "urllib.", "ctypes.dlopen",
)
current = ""

def watch(event, args):
    if event.startswith(FORBIDDEN):
        sys.stderr.write(f"{current}: {event} {args}\\n")
    elif event == "open" and isinstance(args[2], int) and args[2] & WRITING:
        sys.stderr.write(f"{current}: opens {args[0]} for writing\\n")

sys.addaudithook(watch)
for current in ours:
    try:
        importlib.import_module(current)
    except Exception as error:
        sys.stderr.write(f"{current}: {type(error).__name__}: {error}\\n")
"""

BLOCKED_IMPORT = """
import importlib, sys

BLOCKED = {"buildbot", "buildbot_worker", "buildbot_www", "klein", "twisted", "zope"}

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in BLOCKED:
            raise ModuleNotFoundError(f"{name} is blocked", name=name)

sys.meta_path.insert(0, Blocker())
for name in sys.argv[1].split():
    importlib.import_module(name)
"""


def import_in_new_process(code: str, *arguments: str) -> str:
    """What `code` said on either output; its imports leave no .pyc files behind."""
    done = subprocess.run([sys.executable, "-B", "-c", code, *arguments], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


def test_no_work_at_import(repository: "Repository") -> None:
    """Importing our modules writes no file, opens no socket, starts no process, and prints nothing."""
    ours = {name: path for name, path in repository.modules().items() if name not in SCRIPTS}
    theirs = set()
    for module, path in ours.items():
        for found in imports_of(module, path):
            if not found.lazy and our_package(found.name) is None:
                theirs |= {found.name, found.name.rpartition(".")[0] or found.name}
    assert import_in_new_process(WATCHED_IMPORT, " ".join(ours), " ".join(sorted(theirs))) == ""


def test_watch_sees_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The check above does notice a module that writes a file when it is imported."""
    (tmp_path / "busy_module.py").write_text(f"open({str(tmp_path / 'made')!r}, 'w').close()\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    said = import_in_new_process(WATCHED_IMPORT, "busy_module", "")
    assert said == f"busy_module: opens {tmp_path / 'made'} for writing\n"


@pytest.mark.parametrize("package", WITHOUT_BUILDBOT)
def test_imports_without_buildbot(repository: "Repository", package: str) -> None:
    """Every module of a package for people without a lab imports where Buildbot and Twisted cannot."""
    names = [name for name in repository.modules() if our_package(name) == package]
    assert names
    assert import_in_new_process(BLOCKED_IMPORT, " ".join(names)) == ""
