"""A real lab tells of real measurements by a real mail server, also when its master is killed meanwhile."""

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from smtpserver import MailServer, make_certificate

if TYPE_CHECKING:
    from tests.e2e.conftest import LabHandle

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

JOB_S = 240.0
PASSWORD = "hunter2 with spaces"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[MailServer]:
    """A mail server with STARTTLS and a login."""
    made = MailServer("starttls", make_certificate(tmp_path / "mail.pem"), ("lab", PASSWORD))
    made.start()
    yield made
    made.stop()


def test_a_measurement_is_told(
    make_lab: "Callable[..., LabHandle]", server: MailServer, python: str, wait: "Callable[..., None]"
) -> None:
    """The owner gets the numbers that the result has; the master killed while the server is away, once all the same."""
    lab = make_lab(up=False)
    secret = lab.root / "secrets" / "notify-mail"
    secret.write_text(PASSWORD + "\n")
    secret.chmod(0o600)
    settings = lab.root / "benchyard.toml"
    text = settings.read_text()
    settings.write_text(
        f'{text}\n[notify.mail]\nkind = "mail"\nsender = "lab@example.org"\nuser = "lab"\nport = {server.port}\n'
        f'ca_file = "{server.certificate}"\n'
    )
    lab.up()
    log = lab.root / "master" / "twistd.log"
    lab.check("user", "modify", "--mail", "ada@example.org")
    with lab.client() as client:
        job = client.jobs.add(python=python, benchmarks=["nbody"], mode="fast").wait(JOB_S)
        assert job.status == "success", lab.check("job", "log", str(job.id))
        wait(lambda: server.received, "the mail is there")
        (received,) = server.received
        assert received.recipients == ["ada@example.org"]
        assert received.message["Subject"].startswith(f"job {job.id} success: ")
        text = lab.check("result", "compare", str(job.results[0]), str(job.results[0]))
        row = next(line for line in text.splitlines() if line.startswith("nbody"))
        mean = " ".join(row.split()[1:6])
        assert f"nbody  {mean}" in received.text

        server.stop()
        second = client.jobs.add(python=python, benchmarks=["json_loads"], mode="fast").wait(JOB_S)
        wait(lambda: "notifier mail could not tell notice 2: " in log.read_text(errors="replace"), "it was tried")
        os.kill(lab.program("master").pid, signal.SIGKILL)
        server.start()
        wait(lambda: len(server.received) > 1, "the mail is there after all", 120)
        assert server.received[1].message["Subject"].startswith(f"job {second.id} success: ")
        wait(lab.healthy, "the lab is well again", 120)
        (told,) = client.notices.get(next(each.id for each in client.notices if each.data["job"] == second.id)).tellings
        assert (told.notifier, told.outcome) == ("mail", "told")
    assert len(server.received) == 2
    assert PASSWORD not in log.read_text(errors="replace")
    assert f"job {second.id} success" in lab.check("notice", "list")
