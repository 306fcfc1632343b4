"""Jobs whose results are published: by the lab itself, shown in the job's build, and lost or doubled by no kill."""

import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import psutil
import pytest
from receiver import Answer, Receiver, receiving

from benchyard.client import Client, Upload

if TYPE_CHECKING:
    from tests.e2e.conftest import LabHandle

pytestmark = [pytest.mark.timeout(900), pytest.mark.slow]

JOB_S = 240.0

Wait = Callable[..., None]


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    with receiving() as server:
        yield server


@pytest.fixture(scope="module")
def lab(make_lab: "Callable[..., LabHandle]", receiver: Receiver) -> "LabHandle":
    """A lab that publishes at one place by itself, and at another when it is asked to."""
    lab = make_lab(up=False)
    tables = "".join(
        f'\n[publish.{name}]\nkind = "webhook"\nurl = "{receiver.url}/{name}"\ngrades = []\nautomatic = {automatic}\n'
        for name, automatic in (("hook", "true"), ("asked", "false"))
    )
    lab.say(tables)
    said = lab.cli("lab", "up", str(lab.root), "--detach")
    assert said.returncode == 1
    assert "[publish.hook]: the lab has no secret publish-hook; `benchyard lab secret publish-hook" in said.stderr
    secret = lab.root.parent / "secret"
    secret.write_text("a secret of 32 letters or so\n")
    for name in ("hook", "asked"):
        lab.check("lab", "secret", f"publish-{name}", str(lab.root), "--file", str(secret))
    lab.up()
    return lab


@pytest.fixture
def client(lab: "LabHandle") -> Iterator[Client]:
    with lab.client() as client:
        yield client


def measured(lab: "LabHandle", client: Client, python: str, **how: Any) -> Any:
    job = client.jobs.add(python=python, benchmarks=["nbody"], mode="fast", **how).wait(JOB_S)
    assert job.status == "success", (job, lab.log_tail())
    return job


def steps_of(client: Client, job: Any, wait: Wait) -> dict[str, dict[str, Any]]:
    """The steps of the job's own build once it has ended, by name."""
    found: dict[str, dict[str, Any]] = {}

    def ended() -> bool:
        request = int(job.refresh().url.rpartition("/")[2])
        builds = httpx.get(f"{client.url}/api/v2/buildrequests/{request}/builds").json()["builds"]
        if not builds or not builds[-1]["complete"]:
            return False
        steps = httpx.get(f"{client.url}/api/v2/builds/{builds[-1]['buildid']}/steps").json()["steps"]
        found.update({step["name"]: step for step in steps})
        return True

    wait(ended, "the job's build has ended", 60)
    return found


def uploads_of(client: Client, job: Any) -> list[Upload]:
    return list(client.uploads.list(result=job.results[0]))


def told(receiver: Receiver, job: Any) -> list[Any]:
    """The requests that were taken and are about the job's result."""
    found = [(received, json.loads(received.body)["data"]["result"]) for received in receiver.taken]
    return [received for received, result in found if result["job"] == job.id]


def test_published_by_itself(lab: "LabHandle", client: Client, receiver: Receiver, python: str, wait: Wait) -> None:
    """A job's result is published where that is automatic, equal to what was measured; the build shows the answer."""
    job = measured(lab, client, python)
    steps = steps_of(client, job, wait)
    assert (steps["publish: hook"]["results"], steps["publish: hook"]["state_string"]) == (0, "200 OK: thanks")
    assert steps["publish: asked"]["hidden"]
    (seen,) = told(receiver, job)
    assert seen.path == "/hook"
    data = json.loads(seen.body)["data"]
    result = client.results.get(job.results[0])
    values = [value for run in json.loads(result.read())["benchmarks"][0]["runs"] for value in run.get("values", ())]
    assert data["benchmarks"]["nbody"]["mean"] == pytest.approx(sum(values) / len(values))
    assert data["benchmarks"]["nbody"]["n"] == len(values)
    assert data["result"]["sha256"] == result.sha256
    assert "published hook" in lab.check("result", "get", str(result.id))
    assert lab.check("result", "uploads").strip() == "nothing is outstanding"


def test_asked_for_and_refused(lab: "LabHandle", client: Client, receiver: Receiver, python: str, wait: Wait) -> None:
    """A job that is to be uploaded is sent to others, too; a refusal is a warning with the server's words, and no
    fault of the job.
    """
    receiver.otherwise = Answer(422, b"no such project")
    try:
        job = measured(lab, client, python, upload=True)
        steps = steps_of(client, job, wait)
    finally:
        receiver.otherwise = Answer()
    for name in ("hook", "asked"):
        step = steps[f"publish: {name}"]
        assert (step["results"], step["state_string"]) == (
            1,
            "refused: 422 Unprocessable Entity: no such project (warnings)",
        )
    assert client.jobs.get(job.id).status == "success"
    assert "2 refused" in lab.check("lab", "status", str(lab.root))
    said = lab.check("result", "upload", "--retry", "--wait")
    assert said.count("sent: 200 OK: thanks") == 2
    assert len(told(receiver, job)) == 2


def test_server_is_away(lab: "LabHandle", client: Client, receiver: Receiver, python: str, wait: Wait) -> None:
    """A job ends in time where the destination is away; what is pending survives the lab's restart, and arrives."""
    receiver.down()
    job = measured(lab, client, python)
    step = steps_of(client, job, wait)["publish: hook"]
    assert (step["results"], step["state_string"]) == (0, "not yet: connection refused; the outbox sends it")
    lab.down()
    lab.up()
    (pending,) = uploads_of(client, job)
    assert (pending.state, pending.words) == ("pending", "connection refused")
    receiver.up()
    said = lab.check("result", "upload", str(job.results[0]), "--to", "hook", "--again", "--wait")
    assert "sent: 200 OK: thanks" in said
    assert len(told(receiver, job)) == 1


def kill(process: psutil.Process) -> None:
    process.kill()
    process.wait(30)


def test_killed_before_the_answer_is_noted(
    lab: "LabHandle", client: Client, receiver: Receiver, python: str, wait: Wait
) -> None:
    """A master that is killed when the server has taken a result and not yet answered sends it again, under the same
    id: the other side has it once.
    """
    answer = threading.Event()
    receiver.answers = [Answer(hold=answer, taken=True)]
    before = len(receiver.seen)
    job = client.jobs.add(python=python, benchmarks=["nbody"], mode="fast")
    wait(lambda: len(receiver.seen) > before, "the server has it", JOB_S)
    kill(lab.program("master"))
    answer.set()
    wait(lab.healthy, "the master is back", 120)
    job = job.wait(JOB_S)
    assert job.status == "success", lab.log_tail()
    (upload,) = client.uploads.wait(uploads_of(client, job), timeout_s=180.0)
    assert (upload.state, upload.attempts) == ("sent", 2)
    messages = told(receiver, job)
    assert len(messages) == 2
    assert len({message.headers["webhook-id"] for message in messages}) == 1
    assert [json.loads(message.body)["data"] for message in messages[1:]] == [json.loads(messages[0].body)["data"]]


def test_killed_at_any_moment(lab: "LabHandle", client: Client, receiver: Receiver, tmp_path: Path, wait: Wait) -> None:
    """Whenever the master is killed while many results are sent to a server that fails in every way, each of them is
    there in the end, known by one id and equal to what was measured.
    """
    made = []
    for number in range(30):
        file = tmp_path / f"{number}.json"
        runs = [{"values": [1.0 + number, 2.0 + number]}]
        file.write_text(json.dumps({"version": "1.0", "metadata": {"name": "nbody"}, "benchmarks": [{"runs": runs}]}))
        made.append(client.results.add("far").write(file))
    # So slow that there is something left to send at each kill.
    receiver.otherwise = Answer(body=b"thank you very much", drip_s=0.1)
    for result in made:
        result.upload()
    for kills in range(6):
        sent_before = len(receiver.taken)
        receiver.answers = [
            Answer(500, b"saved", taken=True),
            Answer(200, b"cut off", cut=True, taken=True),
            Answer(503, b"away"),
        ]
        wait(lambda sent_before=sent_before: len(receiver.taken) > sent_before + 1, f"something is sent, {kills}", 400)
        kill(lab.program("master"))
        wait(lab.healthy, "the master is back", 120)
    assert list(client.uploads.list(state="pending")), "there was something to send at each kill"
    receiver.answers, receiver.otherwise = [], Answer()
    for _ in range(40):
        outstanding = list(client.uploads.list(state=("pending", "refused", "failed")))
        if not outstanding:
            break
        for upload in outstanding:  # somebody asks: a destination that is left alone for a while is tried again
            client.results.get(upload.result).upload([upload.destination])
        client.uploads.wait(outstanding, timeout_s=300.0)
    by_message: dict[str, list[Any]] = {}
    for received in receiver.taken:
        data = json.loads(received.body)["data"]
        by_message.setdefault(received.headers["webhook-id"], []).append(
            (received.path, data["result"]["id"], data["benchmarks"]["nbody"]["mean"])
        )
    assert all(len(set(said)) == 1 for said in by_message.values()), "a message says the same each time"
    ours = sorted(said[0] for said in by_message.values() if said[0][1] in {result.id for result in made})
    expected = sorted(
        (f"/{name}", result.id, 1.5 + number) for number, result in enumerate(made) for name in ("asked", "hook")
    )
    assert ours == expected
