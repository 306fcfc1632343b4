"""Workers and master over TLS."""

import json
import re
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.e2e.conftest import LabHandle

pytestmark = [pytest.mark.timeout(300), pytest.mark.slow]


def certificate(folder: Path, stem: str, name: str) -> None:
    """Make `STEM.crt` for a name, and its key."""
    argv = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    argv += ["-subj", f"/CN={name}", "-addext", f"subjectAltName=DNS:{name}"]
    argv += ["-keyout", str(folder / f"{stem}.key"), "-out", str(folder / f"{stem}.crt")]
    subprocess.run(argv, check=True, capture_output=True, timeout=60)


def trust(worker: Path, folder: Path, name: str) -> None:
    """Let a worker trust what is in a folder, for a name."""
    text = (worker / "worker.toml").read_text()
    for key, value in (("tls_trust", folder), ("tls_name", name)):
        text = re.sub(rf"^{key} = .*$", f'{key} = "{value}"', text, flags=re.MULTILINE)
    (worker / "worker.toml").write_text(text)


def test_workers_connect_over_tls(make_lab: "Callable[..., LabHandle]", tmp_path: Path) -> None:
    """A worker that trusts the lab's certificate is connected; with another certificate or name it is not."""
    lab = make_lab("--no-isolated", up=False)
    secrets = lab.root / "secrets"
    certificate(secrets, "worker", "lab.example")
    settings = lab.root / "benchyard.toml"
    tls = 'worker_certificate = "secrets/worker.crt"\nworker_key = "secrets/worker.key"\n'
    settings.write_text(settings.read_text().replace("[lab]\n", f"[lab]\n{tls}", 1))
    (lab.root / "trust").mkdir()
    (lab.root / "trust" / "lab.pem").write_bytes((secrets / "worker.crt").read_bytes())
    (own,) = (lab.root / "workers").iterdir()
    trust(own, lab.root / "trust", "lab.example")
    lab.up()
    certificate(tmp_path, "other", "127.0.0.1")
    with lab.client() as client:
        url = client.url
    folder = tmp_path / "w"
    lab.check(
        "worker", "init", url, str(folder), "--name", "w", "--role", "worker", "--trust", str(tmp_path / "other.crt")
    )
    try:
        assert not connected(lab, folder)
        (folder / "trust" / "lab.pem").write_bytes((secrets / "worker.crt").read_bytes())
        assert not connected(lab, folder)
        trust(folder, folder / "trust", "lab.example")
        assert connected(lab, folder)
    finally:
        lab.cli("worker", "down", str(folder))


def connected(lab: "LabHandle", folder: Path) -> bool:
    """Whether a worker, started anew, is connected within some seconds."""
    lab.check("worker", "down", str(folder))
    return bool(json.loads(lab.check("worker", "up", str(folder), "--detach", "--json"))["connected"])
