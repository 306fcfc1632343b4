"""Trees, wheels, an inventory, and what is started from trees."""

import shlex
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path

import debiantree
import pytest
from debiantree import Tree


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel of this checkout."""
    return debiantree.own_wheel(tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="session")
def new_tree(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Tree]]:
    """`new_tree(name)`: a Debian tree that is gone afterwards."""
    made: list[Tree] = []

    def make(name: str) -> Tree:
        made.append(debiantree.new_tree(tmp_path_factory.mktemp("trees") / name))
        return made[-1]

    yield make
    for tree in made:
        subprocess.run(["rm", "--recursive", "--force", "--one-file-system", str(tree.path)], check=True, timeout=300)


SYSTEMCTL = """#!/bin/sh
echo "$*" >> /run/systemctl.log
command=$1; shift
[ "$command $1" != 'disable --now' ] || { command=stop; shift; }
for unit; do
  case $command in
    show) echo LoadState=loaded; [ -e "/run/active/$unit" ] && echo ActiveState=active || echo ActiveState=inactive;;
    is-active) [ -e "/run/active/$unit" ] && echo active || echo inactive;;
    is-enabled) echo enabled;;
    start|restart|reload-or-restart) mkdir -p /run/active; touch "/run/active/$unit";;
    stop) rm -f "/run/active/$unit";;
  esac
done
"""

UPDATE_GRUB = """#!/bin/sh -e
test -e /run/grub-can-be-written
mkdir -p /boot/grub
[ ! -e /etc/default/grub.d/benchyard.cfg ] || . /etc/default/grub.d/benchyard.cfg
echo "linux /vmlinuz root=/ $GRUB_CMDLINE_LINUX_DEFAULT" > /boot/grub/grub.cfg
"""


class Manager:
    """Stands in for what no tree has: systemd, as far as which units it was told to start, and GRUB.

    Playbooks take the tree for a system that runs with `benchyard_running`.
    """

    def __init__(self, tree: Tree) -> None:
        self.tree, self.log = tree, tree / "run/systemctl.log"

    def active(self, unit: str) -> Path:
        """A file that is there while the unit is active."""
        path = self.tree / "run/active" / unit
        path.parent.mkdir(exist_ok=True)
        return path

    def told(self) -> list[str]:
        """What it was told to do since this was last asked."""
        said = self.log.read_text().splitlines() if self.log.exists() else []
        self.log.unlink(missing_ok=True)
        return [line for line in said if line.split()[0] not in ("show", "is-active", "is-enabled")]


@contextmanager
def managed(tree: Tree) -> Iterator[Manager]:
    """The tree with what stands in for systemd, which is gone afterwards."""
    real, away = tree / "usr/bin/systemctl", tree / "run/systemctl.real"
    grub = tree / "usr/sbin/update-grub"
    real.rename(away)
    try:
        for path, text in ((real, SYSTEMCTL), (grub, UPDATE_GRUB)):
            path.write_text(text)
            path.chmod(0o755)
        yield Manager(tree)
    finally:
        grub.unlink()
        away.replace(real)


@pytest.fixture(scope="session")
def manager() -> Callable[[Tree], AbstractContextManager[Manager]]:
    """`with manager(tree) as told`: systemd's and GRUB's stand-ins."""
    return managed


class Unit:
    """A service of a tree, started as its unit says: its program, user, folder and variables, and nothing of ours."""

    def __init__(self, tree: Tree, name: str, *before: str, **variables: str) -> None:
        self.tree, self.name, self.before = tree, name, before
        lines = tree.read(f"etc/systemd/system/{name}.service").splitlines()
        self.said = dict(line.split("=", 1) for line in lines if "=" in line and not line.startswith("#"))
        environ = dict(word.split("=", 1) for word in shlex.split(self.said.get("Environment", "")))
        self.environ = {**environ, **variables}
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it in the background."""
        command = self.tree.inside(
            *shlex.split(self.said["ExecStart"]),
            user=self.said["User"],
            environ=self.environ,
            folder=self.said.get("WorkingDirectory", "/"),
        )
        log = self.tree / f"var/log/{self.name}.log"
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                [*self.before, *command], stdout=output, stderr=output, stdin=subprocess.DEVNULL
            )

    def stop(self, limit_s: float = 150.0) -> None:
        """End it as systemd does: the program itself is told."""
        process, self._process = self._process, None
        if process is not None:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(limit_s)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
                raise

    @property
    def runs(self) -> bool:
        """Whether it has not ended."""
        return self._process is not None and self._process.poll() is None

    def log(self) -> str:
        """The end of what it has printed."""
        return (self.tree / f"var/log/{self.name}.log").read_text(errors="replace")[-3000:]


@pytest.fixture(scope="module")
def unit() -> Iterator[Callable[..., Unit]]:
    """`unit(tree, name, *before, **variables)`: a service that is stopped at the end, whatever happened."""
    made: list[Unit] = []

    def make(tree: Tree, name: str, *before: str, **variables: str) -> Unit:
        made.append(Unit(tree, name, *before, **variables))
        return made[-1]

    yield make
    for one in reversed(made):
        one.stop()


@pytest.fixture(scope="session")
def wait() -> Callable[..., None]:
    """`wait(condition, what, timeout_s, log)`: waits with a bound, and shows the log then."""

    def until(
        condition: Callable[[], object], what: str, timeout_s: float = 60.0, log: Callable[[], str] = str
    ) -> None:
        deadline = time.monotonic() + timeout_s
        while not condition():
            assert time.monotonic() < deadline, f"not within {timeout_s:.0f} s: {what}\n{log()}"
            time.sleep(0.1)

    return until


@pytest.fixture(scope="session")
def free_ports() -> list[int]:
    """Three ports that are free now."""
    with ExitStack() as held:
        probes = [held.enter_context(socket.socket()) for _ in range(3)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in probes]
