"""What people are told of hosts and uploads, by what the datastore really has of them."""

import sqlalchemy as sa
from measuredlab import MeasuredLab, around

from benchyard.publish.notices.facts import Fact, fact_of
from benchyard.publish.notices.others import host_quarantined, upload_refused
from benchyard.store import calibrations, history, hosts, uploads, users
from benchyard.store.rows import Change, Noise

LINK = "http://lab.example/"


def facts(conn: sa.Connection) -> list[Fact]:
    """All facts of the history that are not about jobs."""
    found = [fact_of(change) for change in history.since(conn, 0)]
    return [fact for fact in found if fact is not None and fact.kind != "job_done"]


def add_people(conn: sa.Connection) -> None:
    for name, role in (("max", "admin"), ("ada", "member"), ("eve", "admin")):
        users.create_user(conn, now=1.0, who="x", name=name, password_hash=None, role=role)
    users.enable_user(conn, "eve", False, now=1.0, who="max")


def test_a_host_is_quarantined(conn: sa.Connection, lab: MeasuredLab) -> None:
    """The admins that there are get the reason, and the calibration beside what is usual; what people do is no fact."""
    add_people(conn)
    hosts.ensure_host(conn, "bench", now=1.0, who="lab")
    hosts.enable_host(conn, "bench", False, now=2.0, who="max", reason="new fan")
    hosts.enable_host(conn, "bench", True, now=3.0, who="max")
    assert facts(conn) == []
    result = lab.measured(conn, {"nbody": around(1.1)})
    calibrations.add_calibration(conn, result, {"nbody": (1.1, "second"), "json": (1.01, "second")})
    floors = [Noise("bench", 1, name, 0.02, 9, 1.0, "second", 1.0) for name in ("json", "nbody")]
    calibrations.put_noise(conn, "bench", 1, floors)
    hosts.quarantine_host(conn, "bench", now=300.0, who="lab", reason="off by +9.9 %: nbody +9.9 %")
    (fact,) = facts(conn)
    notice = host_quarantined(conn, fact, targets={"bench": "linux"}, link=LINK)
    assert (notice.kind, notice.users, notice.target) == ("host_quarantined", ("max",), "linux")
    assert notice.subject == "host bench quarantined: off by +9.9 %: nbody +9.9 %"
    assert notice.body.splitlines()[2:5] == [
        f"what is usual there, and calibration result {result.id}:",
        "nbody  1.00 sec -> 1.10 sec: +10.0 % (noise 2.0 %)",
        "json   1.00 sec -> 1.01 sec: +1.0 % (noise 2.0 %)",
    ]
    hosts.enable_host(conn, "bench", True, now=310.0, who="max")
    hosts.quarantine_host(conn, "bench", now=400.0, who="lab", reason="again")
    assert len({each.key for each in facts(conn)}) == 2


def test_an_upload_is_refused(conn: sa.Connection, lab: MeasuredLab) -> None:
    """The owner and the admins are told in the server's words; a wrong setting that refuses all is told once a day."""
    add_people(conn)
    for _ in range(2):
        result = lab.measured(conn, {"nbody": around(1.0)}, commit="1a2b3c4d5e6f")
        filed = uploads.file_upload(conn, result.id, "speed", slot="s", give_up_s=60.0, now=5.0, who="lab")
        uploads.note_refused(conn, filed, words="400 Bad Request: Environment bench not found", now=6.0)
    first, second = (upload_refused(conn, fact, link=LINK) for fact in facts(conn))
    assert first is not None and second is not None
    assert first.users == ("ada", "max")
    assert first.subject == ("speed refuses result 1 (main 1a2b3c4d5e): 400 Bad Request: Environment bench not found")
    assert "result 1: main 1a2b3c4d5e (3.16.0a0, jit pgo, fast) on bench, grade B (a virtual machine)\n" in first.body
    assert first.key == second.key


def test_an_upload_is_given_up(conn: sa.Connection, lab: MeasuredLab) -> None:
    """After a week of trouble it is told as well; what is sent, or tried again, is no fact."""
    result = lab.measured(conn, {"nbody": around(1.0)})
    filed = uploads.file_upload(conn, result.id, "speed", slot="s", give_up_s=60.0, now=5.0, who="lab")
    uploads.note_trouble(conn, filed, words="no route", delay_s=10.0, now=6.0)
    assert facts(conn) == []
    uploads.note_trouble(conn, filed, words="no route", delay_s=10.0, now=70.0)
    (fact,) = facts(conn)
    notice = upload_refused(conn, fact, link=LINK)
    assert notice is not None and notice.subject.startswith("speed did not take result 1 (main ")


def test_other_changes_are_no_facts() -> None:
    """Nobody is told of what is not in the table."""
    for entity, change in (
        ("job", {"status": "running"}),
        ("job", {"reason": "failed"}),
        ("host", {"enabled": True, "quarantined": None}),
        ("queue", {"paused": True}),
        ("upload", {"state": "pending"}),
        ("upload", {"state": "sent"}),
        ("user", {"role": "admin"}),
    ):
        assert fact_of(Change(1, entity, "1", 1.0, "x", change)) is None
