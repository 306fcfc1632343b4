"""`benchyard worker`."""

import subprocess
import sys
import time
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

from benchyard.daemon.workerdir import write_worker_dir
from benchyard.tasks.runner import active_runs

if TYPE_CHECKING:
    from tests.cli.conftest import Run
    from tests.client.lab_server import LabServer


def test_a_host_joins_once(run: "Run", lab: "LabServer", tmp_path: Path) -> None:
    """`worker init` joins the lab; a name that is taken is one line that says how to go on, and leaves no folder."""
    folder = tmp_path / "w"
    ran = run("worker", "init", lab.url, str(folder), "--name", "quiet-2", "--role", "worker")
    assert ran.status == 0, ran.err
    assert (folder / "secret").read_text() == "worker-secret-9\n" and "worker-secret" not in ran.out
    other = tmp_path / "other"
    ran = run("worker", "init", lab.url, str(other), "--name", "quiet-2", "--role", "worker")
    assert (ran.status, ran.err.count("\n")) == (1, 1)
    assert f"`benchyard --url {lab.url} host remove quiet-2`" in ran.err and not other.exists()
    assert run("--url", lab.url, "host", "remove", "quiet-2").status == 0
    ran = run("worker", "init", lab.url, str(other), "--name", "quiet-2", "--role", "worker", "--json")
    assert ran.json["directory"] == str(other) and "worker-secret" not in ran.out


def test_a_lab_that_speaks_tls(run: "Run", lab: "LabServer", tmp_path: Path) -> None:
    """The worker trusts the lab's certificate, under the name that this is of; a name alone is wrong usage."""
    certificate, folder = tmp_path / "worker.crt", tmp_path / "w"
    certificate.write_text("-----BEGIN CERTIFICATE-----\n")
    init = ("worker", "init", lab.url, str(folder), "--name", "quiet-3", "--role", "worker")
    ran = run(*init, "--tls-name", "lab.example")
    assert ran.status == 2 and "--tls-name goes with --trust FILE" in ran.err and not folder.exists()
    ran = run(*init, "--trust", str(certificate), "--tls-name", "lab.example")
    assert ran.status == 0, ran.err
    settings = tomllib.loads((folder / "worker.toml").read_text())
    assert (settings["tls_trust"], settings["tls_name"]) == ("trust", "lab.example")
    assert (folder / "trust" / "lab.pem").read_bytes() == certificate.read_bytes()


def test_down_names_the_runs_that_go_on(run_program: "Run", tmp_path: Path) -> None:
    """`worker down` tells of each run that goes on, with the command that stops it, wherever its state is."""
    state, folder = tmp_path / "elsewhere", tmp_path / "w"
    write_worker_dir(
        folder, name="w", master_host="127.0.0.1", master_port=1, secret_file="secret", state_dir=str(state)
    )
    attach = (sys.executable, "-m", "benchyard.cli", "task", "attach", "7.1", "--state", str(state), "--")
    client = subprocess.Popen([*attach, "sleep", "600"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 60
        while active_runs(state) != ("7.1",):
            assert time.monotonic() < deadline and client.poll() is None
            time.sleep(0.05)
        ran = run_program("worker", "down", str(folder))
        stop = f"benchyard task stop 7.1 --state {state}"
        assert ran.out == f"worker w was not running\nrun 7.1 goes on; stop it with `{stop}`\n"
        assert run_program("worker", "down", str(folder), "--json").json["runs"] == ["7.1"]
        assert run_program(*stop.split()[1:]).status == 0
        assert client.wait(60) != 0
    finally:
        client.kill()
        client.wait()
        if active_runs(state):
            run_program("task", "stop", "7.1", "--state", str(state))
    assert run_program("worker", "down", str(folder)).out == "worker w was not running\n"
