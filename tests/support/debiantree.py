"""Debian trees to apply roles to: one is made by debootstrap and kept, each test gets a copy.

Packages come from where this machine's own come. What runs in a tree sees /proc, /dev and /sys, mounted in a namespace
of its own: nothing stays mounted whoever dies.
"""

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]

#: Beside what Debian needs: what Ansible's modules and the roles would install one by one.
PACKAGES = (
    *("ca-certificates", "chrony", "git", "logrotate", "nftables", "openssh-client", "openssh-server", "openssl"),
    *("python3", "python3-apt", "python3-venv", "sudo", "systemd", "util-linux"),
)

#: Not compared: what Ansible and apt keep for themselves.
PASSING = ("proc", "dev", "sys", "tmp", "root", "run", "var/cache", "var/lib/apt", "var/log", "var/tmp")

_MAKE_S = 900.0
_MOUNT = """
mount -t proc proc "$0/proc" && mount --rbind /dev "$0/dev" && mount --rbind /sys "$0/sys" && exec "$@"
"""


class Tree:
    """A Debian in the folder `path`."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __truediv__(self, name: str) -> Path:
        return self.path / name.lstrip("/")

    def read(self, name: str) -> str:
        """What a file of the tree says."""
        return (self / name).read_text(encoding="utf-8")

    def inside(
        self, *argv: str, user: str | None = None, environ: Mapping[str, str] | None = None, folder: str = "/"
    ) -> list[str]:
        """The command that runs `argv` in the tree, as root or a user of its own, with nothing of our environment."""
        account = [] if user is None else [f"--userspec={self.user(user)}"]
        variables = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", **(environ or {})}
        clean = ["env", "-i", "--chdir", folder, *(f"{name}={text}" for name, text in variables.items())]
        return beside(self, "chroot", *account, str(self.path), *clean, *argv)

    def user(self, name: str) -> str:
        """A user of the tree and its group, by number."""
        fields = [line.split(":") for line in self.read("etc/passwd").splitlines()]
        (entry,) = [entry for entry in fields if entry[0] == name]
        return f"{entry[2]}:{entry[3]}"

    def run(self, *argv: str, user: str | None = None, environ: Mapping[str, str] | None = None) -> str:
        """Run a command in the tree, which must do; gives what it printed."""
        done = self.try_run(*argv, user=user, environ=environ)
        assert done.returncode == 0, f"{argv}\n{done.stdout}{done.stderr}"
        return done.stdout

    def try_run(
        self, *argv: str, user: str | None = None, environ: Mapping[str, str] | None = None
    ) -> "subprocess.CompletedProcess[str]":
        """Run a command in the tree, whatever comes of it."""
        command = self.inside(*argv, user=user, environ=environ)
        return subprocess.run(command, capture_output=True, text=True, timeout=300)

    def listing(self) -> dict[str, tuple[int, ...]]:
        """All files with mode, owner, size and time, to see what has changed."""
        found = {}
        for folder, names, files in os.walk(self.path):
            here = Path(folder).relative_to(self.path).as_posix()
            names[:] = [name for name in names if f"{here}/{name}".removeprefix("./") not in PASSING]
            for name in (*names, *files):
                info = (Path(folder) / name).lstat()
                is_file = name in files
                found[f"{here}/{name}"] = (
                    info.st_mode, info.st_uid, info.st_gid, *((info.st_size, info.st_mtime_ns) if is_file else ()),
                )  # fmt: skip
        return found


def beside(tree: Tree, *argv: str) -> list[str]:
    """The command that runs `argv` out here, where the tree has its /proc, /dev and /sys."""
    namespace = ["unshare", "--mount", "--propagation", "private", "--"]
    return [*namespace, "sh", "-ec", _MOUNT, str(tree.path), *argv]


def new_tree(folder: Path) -> Tree:
    """A tree of one's own in `folder`, which does not exist."""
    with _held(cache() / "debian.lock"):
        base = _base()
    subprocess.run(["cp", "--archive", "--reflink=auto", str(base), str(folder)], check=True, timeout=300)
    return Tree(folder)


def cache() -> Path:
    """Where trees and wheels are kept from one session of tests to the next."""
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "benchyard-tests"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@contextmanager
def _held(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _base() -> Path:
    suite, mirror = _sources()
    key = hashlib.sha256(repr((suite, PACKAGES, 2)).encode()).hexdigest()[:12]
    base = cache() / f"debian-{key}"
    if base.is_dir():
        return base
    partial = base.with_name(f"{base.name}.part")
    shutil.rmtree(partial, ignore_errors=True)
    command = ["debootstrap", "--variant=minbase", f"--include={','.join(PACKAGES)}", suite, str(partial), mirror]
    made = subprocess.run(command, capture_output=True, text=True, timeout=_MAKE_S)
    assert made.returncode == 0, made.stdout[-2000:] + made.stderr[-2000:]
    _be_like_this_machine(partial)
    updated = subprocess.run(
        Tree(partial).inside("apt-get", "update", "-q"), capture_output=True, text=True, timeout=300
    )
    assert updated.returncode == 0, updated.stderr
    partial.rename(base)
    return base


def _sources() -> tuple[str, str]:
    """Debian's suite and mirror, by this machine's own sources of packages."""
    lines = Path("/etc/os-release").read_text().replace('"', "").splitlines()
    release = dict(line.split("=", 1) for line in lines if "=" in line)
    assert release.get("ID") == "debian", "the trees are made of this machine's own Debian"
    said = "\n".join(path.read_text() for path in _source_files())
    found = re.search(r"^(?:URIs:|deb(?: \[[^]]*\])?)\s+(\S+)", said, re.MULTILINE)
    assert found is not None, "this machine has no sources of Debian packages"
    return release["VERSION_CODENAME"], found[1]


def _source_files() -> list[Path]:
    apt = Path("/etc/apt")
    files = [*sorted((apt / "sources.list.d").glob("debian.sources")), apt / "sources.list"]
    return [path for path in files if path.is_file()]


def _be_like_this_machine(tree: Path) -> None:
    """Packages come from the same places, in the same way, and no service starts in a tree."""
    (tree / "etc/apt/sources.list").unlink(missing_ok=True)
    settings = [path for path in Path("/etc/apt/apt.conf.d").iterdir() if "Acquire::" in path.read_text()]
    for path in (*_source_files(), *settings, Path("/etc/resolv.conf"), Path("/etc/ssl/certs/ca-certificates.crt")):
        if path.is_file():
            shutil.copy(path, tree / path.relative_to("/"))
    policy = tree / "usr/sbin/policy-rc.d"
    policy.write_text("#!/bin/sh\nexit 101\n")
    policy.chmod(0o755)


#: The parts of benchyard that hosts in trees have.
HOSTS = ("master", "ansible")


def wheelhouse(*extras: str) -> Path:
    """A folder with a wheel of this checkout and of all that these parts of it need, for the trees' Python."""
    constraints = REPOSITORY / "constraints.txt"
    project = (REPOSITORY / "pyproject.toml").read_bytes()
    key = hashlib.sha256(repr((extras, sys.version_info[:2])).encode() + constraints.read_bytes() + project).hexdigest()
    folder = cache() / f"wheels-{key[:12]}"
    with _held(cache() / f"wheels-{key[:12]}.lock"):
        if not folder.is_dir():
            partial = folder.with_name(f"{folder.name}.part")
            shutil.rmtree(partial, ignore_errors=True)
            # setuptools and wheel are in each environment of benchmarks.
            what = [f"{REPOSITORY}[{','.join(extras)}]", "setuptools", "wheel"]
            _pip("wheel", "--wheel-dir", str(partial), "--constraint", str(constraints), *what)
            for own in partial.glob("benchyard-*.whl"):
                own.unlink()
            partial.rename(folder)
    return folder


#: What the role `codespeed` installs, in the order in which it does.
CODESPEED = (
    ("pip==23.2.1", "setuptools==65.5.0", "wheel==0.37.1", "setuptools-markdown==0.4.1", "pypandoc==1.7.5"),
    ("Django==2.2.28", "pytz", "sqlparse", "isodate==0.7.2", "matplotlib", "gunicorn"),
    ("--no-deps", "--no-build-isolation", "codespeed==0.13.0"),
)


def codespeed_wheelhouse() -> Path:
    """A folder with wheels of all that the role `codespeed` installs."""
    folder = cache() / f"codespeed-{hashlib.sha256(repr(CODESPEED).encode()).hexdigest()[:12]}"
    with _held(cache() / "codespeed.lock"):
        if not folder.is_dir():
            partial, builder = folder.with_name(f"{folder.name}.part"), folder.with_name(f"{folder.name}.venv")
            for old in (partial, builder):
                shutil.rmtree(old, ignore_errors=True)
            subprocess.run([sys.executable, "-m", "venv", str(builder)], check=True, timeout=120)
            python = str(builder / "bin/python")
            # What builds wheels of 2019 is of 2019, too.
            _pip("install", *CODESPEED[0], python=python)
            for what in CODESPEED:
                _pip("wheel", "--wheel-dir", str(partial), *what, python=python)
            shutil.rmtree(builder)
            partial.rename(folder)
    return folder


def packed(folder: Path, to: Path, *left_out: str) -> Path:
    """A folder of wheels as the roles take it: one tar file, here without those of some names."""
    excluded = [f"--exclude={name}-*" for name in left_out]
    subprocess.run(["tar", "-cf", str(to), *excluded, "-C", str(folder), "."], check=True, timeout=120)
    return to


def own_wheel(folder: Path) -> Path:
    """A wheel of this checkout as it is now."""
    _pip("wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(folder), str(REPOSITORY))
    (wheel,) = folder.glob("benchyard-*.whl")
    return wheel


def prepare() -> None:
    """Make all that is kept for the tests, which may take minutes the first time."""
    with _held(cache() / "debian.lock"):
        _base()
    wheelhouse(*HOSTS)
    codespeed_wheelhouse()


def _pip(*arguments: str, python: str = sys.executable) -> None:
    command = [python, "-m", "pip", "--quiet", "--disable-pip-version-check", *arguments]
    # Whatever this machine holds back, versions are said here.
    environ = {**os.environ, "PIP_CONSTRAINT": ""}
    done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]


if __name__ == "__main__":
    prepare()
