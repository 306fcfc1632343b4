"""A lab's own life: made, started, stopped, and every mistake with it."""

import json
import re
import socket
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.e2e.conftest import LabHandle

pytestmark = pytest.mark.timeout(600)


def test_secrets_are_for_the_owner_alone(lab: "LabHandle") -> None:
    """All files of the secrets folder have mode 600, the folder 700, and so has the user's configuration."""
    secrets = lab.root / "secrets"
    assert secrets.stat().st_mode & 0o777 == 0o700
    for path in (*secrets.iterdir(), Path(lab.environ["BENCHYARD_CONFIG"])):
        assert path.stat().st_mode & 0o777 == 0o600, path
    password = (secrets / "admin-password").read_text().strip()
    for process in lab.processes():
        assert password not in " ".join(process.cmdline())


def test_a_running_lab_is_healthy(lab: "LabHandle") -> None:
    """`lab status` tells so, with its hosts connected, and its exit status is 0."""
    shown = json.loads(lab.check("lab", "status", str(lab.root), "--json"))
    assert shown["healthy"]
    assert all(shown["hosts"].values())


def test_started_twice_is_refused(lab: "LabHandle") -> None:
    """A second `lab up` says that the lab is running, and changes nothing."""
    done = lab.cli("lab", "up", str(lab.root))
    assert done.returncode == 1
    assert "running already" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert json.loads(lab.check("lab", "status", str(lab.root), "--json"))["healthy"]


def test_a_folder_that_is_not_empty_is_refused(lab: "LabHandle", tmp_path: Path) -> None:
    """`lab init` never writes into a folder with something in it."""
    (tmp_path / "precious").write_text("mine")
    done = lab.cli("lab", "init", str(tmp_path))
    assert done.returncode == 1
    assert "not an empty folder" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["precious"]


def test_a_port_in_use_is_named(make_lab: "Callable[..., LabHandle]") -> None:
    """`lab up` with its port taken says which key to change, and starts nothing."""
    lab = make_lab(up=False)
    settings = lab.root / "benchyard.toml"
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        settings.write_text(re.sub(r"http_port = \d+", f"http_port = {port}", settings.read_text()))
        done = lab.cli("lab", "up", str(lab.root), "--detach")
    assert done.returncode == 1
    assert str(port) in done.stderr and "http_port" in done.stderr
    assert lab.left_running() == []


def test_wrong_settings_do_not_start_half_a_lab(make_lab: "Callable[..., LabHandle]") -> None:
    """One line names the file, the key and the right one; no process is left."""
    lab = make_lab(up=False)
    settings = lab.root / "benchyard.toml"
    settings.write_text(settings.read_text().replace("title =", "titel ="))
    done = lab.cli("lab", "up", str(lab.root), "--detach")
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    for word in ("benchyard.toml", "'titel'", "'title'"):
        assert word in done.stderr
    assert lab.left_running() == []


@pytest.mark.slow
def test_after_a_kill_of_all_the_lab_starts_again(
    make_lab: "Callable[..., LabHandle]", wait: "Callable[..., None]"
) -> None:
    """kill -9 of the supervisor leaves programs and a stale lock; the next start ends those and works."""
    lab = make_lab()
    pid = json.loads(lab.check("lab", "status", str(lab.root), "--json"))["pid"]
    import psutil

    psutil.Process(pid).kill()
    assert lab.cli("lab", "status", str(lab.root)).returncode == 1
    lab.up()
    lab.down()
    wait(lambda: lab.processes() == [], "nothing is left", 20)
    assert "was not running" in lab.down()


@pytest.mark.slow
def test_jobs_and_results_are_there_after_a_restart(lab: "LabHandle", python: str) -> None:
    """What was stored before `lab down` is there after `lab up`."""
    lab.check("submit", "--python", python, "--benchmarks", "nbody", "--fast", "--wait", timeout_s=240)
    before = [lab.check(kind, "list", "--json") for kind in ("job", "result")]
    lab.down()
    lab.up()
    assert [lab.check(kind, "list", "--json") for kind in ("job", "result")] == before
