"""A worker's folder on its host: made once, and run as one program."""

import json
import os
import sys
from importlib.resources import files
from pathlib import Path

from benchyard.daemon.program import Program

SETTINGS_FILE = "worker.toml"
TAC_FILE = "buildbot.tac"


def write_worker_dir(
    folder: Path,
    *,
    name: str,
    master_host: str,
    master_port: int,
    secret_file: str,
    state_dir: str,
    measuring_cpus: str = "",
    tls_trust: str = "",
    tls_name: str = "",
) -> None:
    """Make the folder of the worker `name`: its settings and the shipped buildbot.tac.

    `secret_file` and `state_dir` may be relative to the folder; two workers on one host share a state folder, so that
    one does not prepare while the other measures. The worker itself keeps off `measuring_cpus`, a CPU list. `tls_trust`
    is a folder of certificates (*.pem) to trust: then the master is spoken to in TLS, and its certificate must be of
    the name `tls_name`; without one, of `master_host`.
    """
    folder.mkdir(parents=True)
    (folder / TAC_FILE).write_text(
        (files("benchyard.daemon") / "templates" / TAC_FILE).read_text(encoding="utf-8"), encoding="utf-8"
    )
    settings = {
        "name": name,
        "master_host": master_host,
        "master_port": master_port,
        "secret_file": secret_file,
        "state_dir": state_dir,
        "measuring_cpus": measuring_cpus,
        "tls_trust": tls_trust,
        "tls_name": tls_name,
    }
    lines = [f"{key} = {json.dumps(value)}\n" for key, value in settings.items()]
    (folder / SETTINGS_FILE).write_text("".join(lines), encoding="utf-8")


def twistd_program(name: str, folder: Path, log: Path) -> Program:
    """The program that runs the buildbot.tac in `folder`; it keeps its own log, `log` gets what goes beside that."""
    return Program(
        name=name,
        argv=(
            sys.executable,
            "-c",
            "from twisted.scripts.twistd import run; run()",
            "--nodaemon",
            "--no_save",
            "--pidfile=",
            f"--python={TAC_FILE}",
        ),
        cwd=folder,
        env=dict(os.environ),
        cpus=None,
        log=log,
    )
