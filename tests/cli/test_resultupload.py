"""`benchyard result upload`, `uploads` and `destinations`: what is published, and what is on its way."""

from types import ModuleType
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.cli.conftest import Run
    from tests.client.lab_server import LabServer


@pytest.fixture(autouse=True)
def destinations(lab: "LabServer", server_module: ModuleType) -> None:
    """The lab publishes at two places."""
    lab.destinations = [
        server_module.a_destination("speed", pending=2, refused=1, words="400 Bad Request: no such environment"),
        server_module.a_destination("hook", kind="webhook", where="https://hooks.example", automatic=False),
    ]


def test_uploaded(run: "Run", lab: "LabServer") -> None:
    """A result goes to all destinations, or to those named; what is asked for is told in one line each."""
    lab.add_result()
    ran = run("result", "upload", "last")
    assert (ran.status, ran.out) == (0, "result 1 to speed: pending\nresult 1 to hook: pending\n")
    ran = run("result", "upload", "1", "--to", "hook", "--again", "--json")
    assert [upload["destination"] for upload in ran.json["items"]] == ["hook"]
    assert lab.seen[-1].body == {"destinations": ["hook"], "again": True}
    ran = run("result", "upload", "1", "--to", "hok")
    assert (ran.status, ran.err) == (1, "benchyard: there is no destination 'hok'; there are: speed, hook\n")


def test_waited_for(run: "Run", lab: "LabServer") -> None:
    """With --wait, troubles are told meanwhile, and the exit status is that of the outcome."""
    lab.add_result()
    lab.upload_scripts = [
        (1, {"words": "connection refused"}),
        (1, {"state": "sent", "words": "ok", "link": "http://s/"}),
    ]
    ran = run("result", "upload", "1", "--to", "speed", "--wait")
    assert (ran.status, ran.out) == (0, "result 1 to speed: sent: ok (http://s/)\n")
    assert ran.err == "result 1 to speed: pending: connection refused\n"
    lab.upload_scripts = [(2, {"state": "refused", "words": "no such project"})]
    ran = run("result", "upload", "1", "--to", "speed", "--wait")
    assert (ran.status, ran.out) == (1, "result 1 to speed: refused: no such project\n")


def test_retried(run: "Run", lab: "LabServer", server_module: ModuleType) -> None:
    """`--retry` asks again for what was refused or has failed."""
    assert run("result", "upload", "--retry").out == "nothing was refused or has failed\n"
    lab.uploads[1] = server_module.an_upload(1, state="failed", words="connection refused")
    assert run("result", "upload", "--retry", "--to", "speed").out == "result 1 to speed: pending: connection refused\n"
    assert lab.seen[-1].body == {"destination": "speed"}


@pytest.mark.parametrize(
    "words", [(), ("1", "--retry"), ("--retry", "--again"), ("--retry", "--to", "speed", "--to", "hook")]
)
def test_wrong_usage(run: "Run", lab: "LabServer", words: tuple[str, ...]) -> None:
    """A result is named or all are retried; the exit status of anything else is 2."""
    lab.add_result()
    assert run("result", "upload", *words).status == 2


def test_listed(run: "Run", lab: "LabServer", server_module: ModuleType) -> None:
    """What is outstanding is listed unless another state, or one result, is asked for."""
    assert run("result", "uploads").out == "nothing is outstanding\n"
    for number, state in enumerate(("sent", "pending", "refused"), 1):
        lab.uploads[number] = server_module.an_upload(number, state=state, words=f"{state} words", result=7)
    lab.uploads[2]["action"] = "withdraw"
    out = run("result", "uploads", "--columns", "result,destination,state,words").out.splitlines()
    assert [" ".join(line.split()) for line in out] == [
        "RESULT DESTINATION STATE WORDS",
        "7 speed refused refused words",
        "7 speed pending (withdraw) pending words",
    ]
    assert [u["id"] for u in run("result", "uploads", "--state", "sent", "--json").json["items"]] == [1]
    assert [u["id"] for u in run("result", "uploads", "--result", "7", "--json").json["items"]] == [3, 2, 1]
    assert [u["id"] for u in run("result", "uploads", "--state", "all", "--json").json["items"]] == [3, 2, 1]


def test_destinations(run: "Run") -> None:
    """The places are listed with what is outstanding there, and what they said last."""
    lines = run("result", "destinations").out.splitlines()
    assert lines[0].split() == ["NAME", "KIND", "WHERE", "SENDS", "OUTSTANDING", "SAID"]
    assert "2 pending, 1 refused" in lines[1] and lines[1].endswith("400 Bad Request: no such environment")
    assert "when asked" in lines[2]
    assert len(run("result", "destinations", "--json").json["items"]) == 2


def test_no_destinations(run: "Run", lab: "LabServer") -> None:
    """Where there are none, it is said how to have one, and from when on it counts."""
    lab.destinations = []
    told = "the lab publishes nowhere; add a table such as [publish.NAME] to its settings and start the lab anew\n"
    ran = run("result", "destinations")
    assert told in (ran.out, ran.err)


def test_a_result_shows_its_uploads(run: "Run", lab: "LabServer", server_module: ModuleType) -> None:
    """`result get` says where a result was published."""
    number = lab.add_result()
    lab.uploads[1] = server_module.an_upload(1, state="sent", link="http://speed.example/1", result=number)
    lab.uploads[2] = server_module.an_upload(2, destination="hook", state="refused", words="410 Gone", result=number)
    out = run("result", "get", "1").out
    assert "published speed  sent: http://speed.example/1\n" in out
    assert "published hook   refused: 410 Gone\n" in out


def test_submitted_with_it(run: "Run", lab: "LabServer") -> None:
    """`submit --upload` asks for it with the job; what was measured before is uploaded as it is."""
    run("submit", "--ref", "main", "--upload")
    assert lab.seen[-1].body["upload"] is True
    run("submit", "--ref", "main")
    assert "upload" not in lab.seen[-1].body
