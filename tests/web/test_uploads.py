"""Uploads over REST, with a real master that really sends: what is asked for, by whom, and what is told of it."""

import json
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest
from receiver import Answer, Receiver, receiving

from benchyard.client import Client, Conflict, Forbidden, NotFound, Upload

if TYPE_CHECKING:
    from tests.web.conftest import Lab

SECRET = "geheim-und-lang-genug"


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    with receiving() as server:
        yield server


@pytest.fixture(scope="module")
def own(make_lab: "Callable[..., Lab]", receiver: Receiver) -> "Lab":
    """A lab with one destination for all results and one for those of bob."""
    more = "".join(
        f"""[publish.{name}]
kind = "webhook"
url = "{receiver.url}/geheimer-pfad/{name}"
grades = []
automatic = false
{settings}
"""
        for name, settings in (("hook", ""), ("bobs", 'users = ["bob"]'))
    )
    lab = make_lab(more=more, **{"publish-hook": SECRET, "publish-bobs": SECRET})
    for name, role in (("ada", "member"), ("bob", "member"), ("vic", "viewer")):
        lab.add_user(name, role)
    return lab


@pytest.fixture
def client(own: "Lab") -> Iterator[Callable[[str], Client]]:
    """`client(name)`: a client with somebody's token."""
    made: list[Client] = []

    def make(who: str) -> Client:
        made.append(Client(own.url, token=own.tokens[who]))
        return made[-1]

    yield make
    for each in made:
        each.close()


def pyperf_file(value: float) -> bytes:
    """A small file that pyperf takes for its own."""
    suite = {"version": "1.0", "metadata": {"name": "nbody"}, "benchmarks": [{"runs": [{"values": [value]}]}]}
    return json.dumps(suite).encode()


def add(client: Client, value: float) -> Any:
    return client.results.add("far", branch="main").write(pyperf_file(value))


def sent(client: Client, uploads: tuple[Upload, ...]) -> tuple[Upload, ...]:
    return client.uploads.wait(uploads, timeout_s=60.0)


def test_uploaded(client: Callable[[str], Client], receiver: Receiver) -> None:
    """A result goes where it may, once; asked for again it goes again; what is told of it is what was measured."""
    ada = client("ada")
    result = add(ada, 0.125)
    (upload,) = sent(ada, result.upload())
    assert (upload.destination, upload.state, upload.words) == ("hook", "sent", "200 OK: thanks")
    assert (upload.asked_by, upload.attempts) == ("ada", 1)
    assert upload.sent is not None and upload.next_try is None
    assert result.upload() == (ada.uploads.list(result=result.id).__next__(),)
    data = json.loads(receiver.taken[-1].body)["data"]
    assert (data["result"]["id"], data["benchmarks"]["nbody"]["mean"]) == (result.id, 0.125)
    before = len(receiver.taken)
    sent(ada, result.upload(["hook"], again=True))
    assert len(receiver.taken) == before + 1


def test_who_may(client: Callable[[str], Client]) -> None:
    """Members publish their own results, admins all, as far as policy lets them; viewers see what is published."""
    ada, bob = client("ada"), client("bob")
    result, others = add(ada, 0.5), add(bob, 0.25)
    with pytest.raises(Forbidden):
        bob.results.get(result.id).upload()
    with pytest.raises(Forbidden):
        client("vic").results.get(result.id).upload()
    for who in ("ada", "admin"):
        with pytest.raises(Conflict, match=rf"^bobs: result {result.id} has the owner ada; published there are: bob$"):
            client(who).results.get(result.id).upload(["bobs"])
    with pytest.raises(NotFound, match="did you mean 'hook'"):
        ada.results.get(result.id).upload(["hok"])
    assert {upload.destination for upload in sent(bob, client("admin").results.get(others.id).upload())} == {
        "hook",
        "bobs",
    }
    assert [upload.result for upload in client("vic").uploads.list(destination="bobs")] == [others.id]


def test_refused_and_asked_again(client: Callable[[str], Client], receiver: Receiver) -> None:
    """What was refused is listed and counted with the server's words, and asked for again by its owner, or an admin."""
    ada = client("ada")
    result = add(ada, 0.75)
    receiver.answers = [Answer(422, b"no such project")]
    (refused,) = sent(ada, result.upload())
    assert (refused.state, refused.words) == ("refused", "422 Unprocessable Entity: no such project")
    assert [upload.id for upload in ada.uploads.list(state=("pending", "refused", "failed"))] == [refused.id]
    (hook, bobs) = ada.uploads.destinations()
    assert (hook.name, hook.kind, hook.refused, hook.pending) == ("hook", "webhook", 1, 0)
    assert (hook.words, bobs.refused) == (refused.words, 0)
    assert ada.health().uploads == {"pending": 0, "refused": 1, "failed": 0}
    assert client("bob").uploads.retry() == ()
    (again,) = sent(ada, ada.uploads.retry("hook"))
    assert (again.id, again.state) == (refused.id, "sent")
    assert client("admin").uploads.retry() == ()
    assert ada.health().uploads is None


def test_counts_no_more(client: Callable[[str], Client], receiver: Receiver) -> None:
    """Disabled or removed, a result is taken back from where it is; enabled, it is published again."""
    ada = client("ada")
    result = add(ada, 1.5)
    sent(ada, result.upload())
    for change, kind in (
        (result.disable, "result.withdrawn"),
        (result.enable, "result.published"),
        (result.remove, "result.withdrawn"),
    ):
        change()
        (upload,) = sent(ada, tuple(ada.uploads.list(result=result.id)))
        assert upload.state == "sent"
        message = json.loads(receiver.taken[-1].body)
        assert (message["type"], message["data"]["result"]["id"]) == (kind, result.id)
    with pytest.raises(Conflict, match="is trashed"):
        ada.results.get(result.id).upload()


def test_secrets_are_not_told(own: "Lab", client: Callable[[str], Client]) -> None:
    """Neither a destination's secret nor the path of its address is in any answer, nor in the master's log."""
    told = [own.call("GET", path, "admin").text for path in ("/destinations", "/uploads", "/metrics", "/openapi.json")]
    told.append((own.root / "master" / "twistd.log").read_text())
    for text in told:
        assert SECRET not in text
        assert "geheimer-pfad" not in text
    assert 'benchyard_uploads{destination="hook",state="pending"} 0' in told[2]
    assert "127.0.0.1" in told[0]


def test_wrong_questions(own: "Lab") -> None:
    """A filter or a body that makes no sense is refused with its field."""
    for method, path, more in (
        ("GET", "/uploads?state=lost", {}),
        ("GET", "/uploads?result=0", {}),
        ("POST", "/results/1/upload", {"json": {"destination": "hook"}}),
        ("POST", "/uploads/retry", {"json": {"destination": 5}}),
    ):
        answer = own.call(method, path, "admin", **more)
        assert answer.status_code == 400, answer.text
        assert answer.json()["field"]


def test_jobs_that_ask_for_it(own: "Lab") -> None:
    """A job may ask to be published; one whose result never can be is refused."""
    assert own.submit(upload=True)["spec"]["upload"] is True
    answer = own.call("POST", "/jobs", "admin", json={"python": own.python, "upload": True, "kind": "profile"})
    assert (answer.status_code, answer.json()["field"]) == (400, "upload")


def test_jobs_of_a_lab_without_destinations(lab: "Lab") -> None:
    """Where nothing can be published, a job that asks for it is refused with the remedy."""
    answer = lab.call("POST", "/jobs", "admin", json={"python": lab.python, "benchmarks": ["nbody"], "upload": True})
    assert (answer.status_code, answer.json()["field"]) == (400, "upload")
    assert "add a [publish.NAME] to benchyard.toml and start the lab anew" in answer.json()["detail"]
