"""What an interpreter is made of, and its id: the same recipe with the same tools has the same one everywhere."""

import hashlib
import json
import os
import platform
import shlex
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from benchyard.tasks.errors import RecipeError, SourceError
from benchyard.tasks.flags import flag_options
from benchyard.tasks.processes import BUILD_MARK

#: Where an interpreter believes to be installed. It finds its files from where it really is, so that all hosts can have
#: it in places of their own; what it is made of must not depend on the host that made it.
PREFIX = "/opt/benchyard/python"

#: Variables of `configure` that a target may set.
COMPILER_VARIABLES = ("CC", "CXX", "CFLAGS", "CPPFLAGS", "LDFLAGS", "LIBS", "PKG_CONFIG_PATH")

#: What a build gets of its caller's variables: where its tools are, and whose it is.
_KEPT = ("PATH", "HOME", "TMPDIR", "LD_LIBRARY_PATH", "CCACHE_DIR", BUILD_MARK)

#: Where Debian and Fedora keep compilers' names that lead to ccache.
_CCACHE = ("/usr/lib/ccache", "/usr/lib64/ccache")


class Recipe(msgspec.Struct, frozen=True, kw_only=True):
    """What is built: a full commit, the SHA-256 of a patch, flags, arguments of `configure` and compiler variables."""

    commit: str
    patch: str | None = None
    flags: tuple[str, ...] = ()
    configure_args: tuple[str, ...] = ()
    environ: dict[str, str] = {}
    target: str = ""


class Toolchain(msgspec.Struct, frozen=True, kw_only=True):
    """What it is built with: the first line of `CC --version`, the C library, the CPUs, and ccache's directory."""

    cc: str
    cc_version: str
    libc: str
    machine: str
    system: str
    cpus: int
    ccache: str | None = None


def recipe_hash(recipe: Recipe) -> str:
    """Return the SHA-256 of a recipe alone, known before any tool is."""
    return hashlib.sha256(_canonical(recipe)).hexdigest()


def toolchain_hash(toolchain: Toolchain) -> str:
    """Return the SHA-256 of what tells toolchains apart; how many CPUs there are does not."""
    parts = [toolchain.cc_version, toolchain.libc, toolchain.system, toolchain.machine]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def interpreter_id(recipe: Recipe, toolchain: Toolchain) -> str:
    """Return the SHA-256 of the canonical JSON of what an interpreter depends on."""
    parts = [recipe_hash(recipe), list(configure_arguments(recipe)), toolchain_hash(toolchain)]
    return hashlib.sha256(json.dumps(parts, separators=(",", ":")).encode()).hexdigest()


def configure_arguments(recipe: Recipe) -> tuple[str, ...]:
    """Return what `configure` is given; an option that this source does not know is an error, not a warning."""
    variables = tuple(f"{name}={value}" for name, value in sorted(recipe.environ.items()))
    return (
        f"--prefix={PREFIX}",
        "--enable-option-checking=fatal",
        "--with-ensurepip=no",
        *flag_options(sorted(recipe.flags)),
        *recipe.configure_args,
        *variables,
    )


def configure_command(recipe: Recipe) -> list[str]:
    """The command line of `configure`, in the source tree."""
    return ["./configure", *configure_arguments(recipe)]


def make_command(toolchain: Toolchain) -> list[str]:
    """The command line of `make`, which trains the interpreter too where it has the flag pgo."""
    return ["make", f"-j{toolchain.cpus}"]


def install_command(destination: str) -> list[str]:
    """The command line that installs below a directory instead of the root of the file system."""
    return ["make", "install", f"DESTDIR={destination}", "ENSUREPIP=no"]


def build_environ(environ: Mapping[str, str], ccache: str | None) -> dict[str, str]:
    """The variables of a build: nothing that could change its result comes from the caller, but PATH does."""
    kept = {name: environ[name] for name in _KEPT if name in environ}
    if ccache is not None:
        kept["PATH"] = ccache + os.pathsep + kept.get("PATH", os.defpath)
    return {**kept, "LC_ALL": "C.UTF-8"}


def _canonical(recipe: Recipe) -> bytes:
    parts = msgspec.to_builtins(msgspec.structs.replace(recipe, flags=tuple(sorted(recipe.flags))))
    return json.dumps(parts, sort_keys=True, separators=(",", ":")).encode()


def check_environ(environ: Mapping[str, str]) -> dict[str, str]:
    """Return compiler variables as they are; RecipeError for any that a target may not set."""
    for name, value in environ.items():
        if name not in COMPILER_VARIABLES:
            raise RecipeError(name, f"is no variable of the compiler; known are {', '.join(COMPILER_VARIABLES)}")
        if not value.isprintable():
            raise RecipeError(name, f"{value!r} has control characters")
    return dict(environ)


def find_toolchain(environ: Mapping[str, str] = {}) -> Toolchain:
    """What this machine builds with, given a target's compiler variables; SourceError where there is no compiler."""
    cc = environ.get("CC", "gcc" if shutil.which("gcc") else "cc")
    return Toolchain(
        cc=cc,
        cc_version=_version(shlex.split(cc)),
        libc=_libc(),
        machine=platform.machine(),
        system=platform.system().lower(),
        cpus=len(os.sched_getaffinity(0)),
        ccache=_ccache(cc),
    )


def _version(cc: Sequence[str]) -> str:
    try:
        done = subprocess.run([*cc, "--version"], capture_output=True, text=True, timeout=60, check=False)
        said = done.stdout.splitlines()
    except (OSError, IndexError, subprocess.TimeoutExpired):
        said = []
    if not said:
        raise SourceError(f"there is no C compiler {shlex.join(cc)!r} on this machine; install one, such as gcc")
    return said[0].strip()


def _libc() -> str:
    try:
        return os.confstr("CS_GNU_LIBC_VERSION") or "unknown"
    except (OSError, ValueError):
        return " ".join(part for part in platform.libc_ver() if part) or "unknown"


def _ccache(cc: str) -> str | None:
    if shutil.which("ccache") is None:
        return None
    return next((folder for folder in _CCACHE if (Path(folder) / cc).exists()), None)
