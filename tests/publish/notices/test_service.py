"""From what happens in the lab to those who are to know: real masters, real mail and web servers, nothing lost."""

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
import sqlalchemy as sa
from measuredlab import MeasuredLab, around
from receiver import Answer, Receiver
from smtpserver import MailServer

from benchyard.publish.notices import jobs as jobnotices
from benchyard.publish.notices import service as module
from benchyard.publish.notices import telling
from benchyard.publish.notices.settings import AnyNotifier, Mail, Reporter
from benchyard.publish.notices.telling import FRESH_S, takes
from benchyard.store import hosts, jobs, notices, users
from benchyard.store.rows import Notice, Telling

if TYPE_CHECKING:
    from tests.publish.notices.conftest import Master, Masters

MakeServer = Callable[..., MailServer]
HOUR = 3600.0


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Looks often, and tries again soon."""
    monkeypatch.setattr(module, "FOLLOW_S", 0.1)
    monkeypatch.setattr(telling, "FIRST_PAUSE_S", 0.2)
    monkeypatch.setattr(telling, "LONGEST_PAUSE_S", 0.4)


def mail(server: MailServer, **given: Any) -> Mail:
    """Mail by this server."""
    return Mail(**{"sender": "lab@example.org", "tls": "none", "port": server.port, "timeout_s": 10.0, **given})


def chat(receiver: Receiver, **given: Any) -> Reporter:
    """Buildbot's HttpStatusPush to this server."""
    return Reporter(reporter="HttpStatusPush", options={"serverUrl": receiver.url}, timeout_s=10.0, **given)


def posted(receiver: Receiver) -> list[dict[str, Any]]:
    """The notices that were posted to a web server."""
    return [msgspec.json.decode(request.body) for request in receiver.seen]


def people(conn: sa.Connection) -> None:
    """Ada and Max have addresses, and Max is an admin; Bob has none."""
    for name, role, address in (
        ("ada", "member", "ada@example.org"),
        ("max", "admin", "max@example.org"),
        ("bob", "member", None),
    ):
        users.create_user(conn, now=1.0, who="x", name=name, password_hash=None, role=role, mail=address)


def measure(master: "Master", lab: MeasuredLab, **given: Any) -> Any:
    """A job that is done just now."""
    values = given.pop("values", {"nbody": around(0.0934)})
    return master.db(lambda conn: lab.measured(conn, values, now=time.time() - 127.0, **given))


def tellings(master: "Master") -> dict[str, list[Telling]]:
    """What became of all notices, by their keys."""

    def read(conn: sa.Connection) -> dict[str, list[Telling]]:
        found = notices.list_notices(conn, limit=500)
        known = notices.tellings_of(conn, [notice.id for notice in found])
        return {notice.key: list(known.get(notice.id, ())) for notice in found}

    known: dict[str, list[Telling]] = master.db(read)
    return known


def until_told(master: "Master", keys: Sequence[str], notifier: str) -> None:
    """Wait until something has become of these notices at a notifier."""

    def condition() -> bool:
        with sa.create_engine(f"sqlite:///{master.database}", poolclass=sa.NullPool).connect() as conn:
            rows = [notices.notice_of_key(conn, key) for key in keys]
            known = notices.tellings_of(conn, [row.id for row in rows if row is not None])
        told = [row is not None and any(t.notifier == notifier for t in known.get(row.id, ())) for row in rows]
        return all(told)

    master.wait(condition, f"{', '.join(keys)} by {notifier}")


def test_a_job_is_told_to_its_owner(masters: "Masters", lab: MeasuredLab, mail_server: MakeServer) -> None:
    """With its numbers, once, to them alone; who has no address is told by nobody, and can read it all the same."""
    server = mail_server()
    master = masters.start({"mail": mail(server)})
    master.db(people)
    measure(master, lab)
    measure(master, lab, owner="bob")
    until_told(master, ["job_done:1", "job_done:2"], "mail")
    (received,) = server.received
    assert received.recipients == ["ada@example.org"]
    assert received.message["Subject"].startswith("job 1 success: main ")
    assert "nbody  93.4 ms +- 1.0 ms" in received.text
    known = tellings(master)
    assert [each.outcome for each in known["job_done:1"]] == ["told"]
    assert [each.outcome for each in known["job_done:2"]] == ["nobody"]


def test_server_that_is_down_for_a_while(masters: "Masters", lab: MeasuredLab, mail_server: MakeServer) -> None:
    """Notices wait for it, in their order, also over a restart of the master, and arrive once."""
    server = mail_server()
    server.stop()
    try:
        settings = mail(server)
        master = masters.start({"mail": settings})
        master.db(people)
        for _ in range(3):
            measure(master, lab)
        master.wait(lambda: sum("could not tell notice" in line for line in masters.log) >= 3, "it was tried again")
        assert all("Connection was refused" in line for line in masters.log if "could not tell notice" in line)
        masters.stop(master)
    finally:
        server.start()
    master = masters.start({"mail": settings})
    until_told(master, ["job_done:1", "job_done:2", "job_done:3"], "mail")
    masters.stop(master)
    master = masters.start({"mail": settings})
    measure(master, lab)
    until_told(master, ["job_done:4"], "mail")
    subjects = [received.message["Subject"].split(" success")[0] for received in server.received]
    assert subjects == ["job 1", "job 2", "job 3", "job 4"]


def test_one_that_is_refused_holds_nobody_up(masters: "Masters", lab: MeasuredLab, mail_server: MakeServer) -> None:
    """What the server will never take is given up, with its words, and the next is told."""
    server = mail_server(answers=["554 5.7.1 this is spam"])
    master = masters.start({"mail": mail(server)})
    master.db(people)
    measure(master, lab)
    measure(master, lab)
    until_told(master, ["job_done:1", "job_done:2"], "mail")
    (failed,) = tellings(master)["job_done:1"]
    assert (failed.outcome, failed.words) == ("failed", "554 5.7.1 this is spam")
    assert len(server.received) == 1


def test_regression_is_told_once(
    masters: "Masters", lab: MeasuredLab, mail_server: MakeServer, receiver: Receiver
) -> None:
    """Its owner gets one mail, not another for the job; a notifier of jobs alone tells of that, with the numbers."""
    server = mail_server()
    notify: dict[str, AnyNotifier] = {"mail": mail(server), "chat": chat(receiver, events=("job_done",))}
    master = masters.start(notify)
    master.db(people)
    base = measure(master, lab, values={"a": around(1.0)}, owner="bob")
    head = measure(master, lab, values={"a": around(1.25)}, base_job=base.job_id)
    key = f"regression:{head.id}:{base.id}"
    until_told(master, [key], "mail")
    until_told(master, ["job_done:2"], "chat")
    (received,) = server.received
    assert received.message["Subject"].startswith("regression: main ")
    assert "a: 1.00 sec +- 0.01 sec -> 1.25 sec +- 0.01 sec: 1.25x slower" in received.text
    assert [body["kind"] for body in posted(receiver)] == ["job_done", "job_done"]
    assert "1.25x slower" in posted(receiver)[1]["text"]


def test_other_reporters(masters: "Masters", lab: MeasuredLab, receiver: Receiver) -> None:
    """Any reporter of Buildbot's tells: HttpStatusPush posts the notice, and a failure of its server is made up for."""
    receiver.answers = [Answer(503, b"later")]
    master = masters.start({"chat": chat(receiver)})
    measure(master, lab)
    until_told(master, ["job_done:1"], "chat")
    first, second = posted(receiver)
    assert first == second
    assert (second["kind"], second["users"]) == ("job_done", ["ada"])
    assert "nbody  93.4 ms +- 1.0 ms" in second["body"]


def test_notifiers_do_not_wait_for_each_other(
    masters: "Masters", lab: MeasuredLab, mail_server: MakeServer, receiver: Receiver
) -> None:
    """While one is in trouble the other tells, and what that has told is not told again by it."""
    server = mail_server()
    server.stop()
    try:
        master = masters.start({"mail": mail(server), "chat": chat(receiver)})
        master.db(people)
        measure(master, lab)
        until_told(master, ["job_done:1"], "chat")
        assert [each.notifier for each in tellings(master)["job_done:1"]] == ["chat"]
    finally:
        server.start()
    until_told(master, ["job_done:1"], "mail")
    assert (len(receiver.seen), len(server.received)) == (1, 1)


def test_a_host_that_drifts(masters: "Masters", mail_server: MakeServer) -> None:
    """Its quarantine is told to the admins, by what the datastore has of it."""
    server = mail_server()
    master = masters.start({"mail": mail(server, events=("host_quarantined",))})
    master.db(people)

    def drift(conn: sa.Connection) -> None:
        hosts.ensure_host(conn, "bench", now=time.time(), who="lab")
        hosts.quarantine_host(conn, "bench", now=time.time(), who="lab", reason="off by +9.9 %: nbody +9.9 %")

    master.db(drift)
    master.wait(lambda: server.received, "the mail is there")
    (received,) = server.received
    assert received.recipients == ["max@example.org"]
    assert received.message["Subject"] == "host bench quarantined: off by +9.9 %: nbody +9.9 %"


def test_a_lane_that_is_stale(masters: "Masters", lab: MeasuredLab, mail_server: MakeServer) -> None:
    """Under a clock that is moved on, it is told when its time is over, once; not just after a start."""
    server = mail_server()
    master = masters.start({"mail": mail(server, events=("lane_stale",))}, schedules=())
    master.db(people)
    start = time.time()
    job = master.db(lambda conn: lab.job(conn, now=start))

    def look(hours: float) -> None:
        master.service.seconds = lambda: start + hours * HOUR  # type: ignore[method-assign]
        master.spin(master.service.look())

    look(0.5)
    look(11.9)
    assert tellings(master) == {}
    look(12.1)
    look(20.0)
    until_told(master, [f"lane_stale:linux:{int(start)}"], "mail")
    assert len(tellings(master)) == 1
    (received,) = server.received
    assert received.recipients == ["max@example.org"]
    assert received.message["Subject"] == "linux: 1 job waits, and nothing has begun for 12 h 6 min"
    assert "host bench: not connected" in received.text or "host bench: connected" in received.text
    master.db(jobs.set_status, job.id, "canceled", now=start, who="ada")


def test_what_was_before(masters: "Masters", lab: MeasuredLab, mail_server: MakeServer, receiver: Receiver) -> None:
    """Nobody is told what happened before the lab told anything, nor by a new notifier what was before that."""
    first = masters.start({})
    first.db(people)
    masters.stop(first)
    with sa.create_engine(f"sqlite:///{masters.database}").begin() as conn:
        conn.execute(sa.text("DELETE FROM benchyard_watches"))
        lab.measured(conn, {"a": around(1.0)}, now=time.time())
    server = mail_server()
    master = masters.start({"mail": mail(server)})
    measure(master, lab)
    until_told(master, ["job_done:2"], "mail")
    masters.stop(master)
    master = masters.start({"mail": mail(server), "chat": chat(receiver)})
    measure(master, lab)
    until_told(master, ["job_done:3"], "mail")
    until_told(master, ["job_done:3"], "chat")
    assert set(tellings(master)) == {"job_done:2", "job_done:3"}
    assert [body["key"] for body in posted(receiver)] == ["job_done:3"]
    assert len(server.received) == 2


def test_a_lab_that_was_away(masters: "Masters", lab: MeasuredLab, mail_server: MakeServer) -> None:
    """What nobody could be told for two days is not told any more: no flood after a week."""
    server = mail_server()
    settings = {"mail": mail(server)}
    master = masters.start(settings)
    master.db(people)
    masters.stop(master)
    old = time.time() - FRESH_S - 60.0
    with sa.create_engine(f"sqlite:///{masters.database}").begin() as conn:
        conn.execute(sa.text("UPDATE benchyard_notifiers SET since = 0"))
        for number in range(20):
            how = {"kind": "job_done", "time": old, "subject": "s", "body": "b", "users": ("ada",)}
            notices.add_notice(conn, key=f"job_done:{100 + number}", **how)  # type: ignore[arg-type]
    master = masters.start(settings)
    measure(master, lab)
    until_told(master, ["job_done:1"], "mail")
    assert len(server.received) == 1


def test_master_killed_after_sending(masters: "Masters", lab: MeasuredLab, mail_server: MakeServer) -> None:
    """Killed between the server's answer and our note of it, the next sends once more, as the same message."""
    server = mail_server()
    settings = {"mail": mail(server)}
    master = masters.start(settings)
    master.db(people)
    measure(master, lab)
    until_told(master, ["job_done:1"], "mail")
    masters.stop(master)
    with sa.create_engine(f"sqlite:///{masters.database}").begin() as conn:
        conn.execute(sa.text("DELETE FROM benchyard_tellings"))
        # It had no time to let go of what it held.
        held = sa.text("UPDATE benchyard_notifiers SET until = 1e12, holder = :name")
        conn.execute(held, {"name": master.master.name})
    again = masters.start(settings)
    until_told(again, ["job_done:1"], "mail")
    first, second = server.received
    assert first.message["Message-ID"] == second.message["Message-ID"]


def test_two_masters_tell_once(masters: "Masters", lab: MeasuredLab, mail_server: MakeServer) -> None:
    """Two masters of one database write each notice once, and one of them tells it."""
    server = mail_server()
    settings = {"mail": mail(server)}
    one = masters.start(settings)
    two = masters.start(settings, name="second")
    one.db(people)
    for _ in range(10):
        measure(one, lab)
    keys = [f"job_done:{number}" for number in range(1, 11)]
    until_told(two, keys, "mail")
    assert set(tellings(one)) == set(keys)
    assert len(server.received) == 10


def test_a_notice_that_cannot_be_written(
    masters: "Masters", lab: MeasuredLab, mail_server: MakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A fault of ours costs a notice its numbers, and no other notice anything; it is logged."""
    server = mail_server()
    master = masters.start({"mail": mail(server, to=("perf@example.org",))})
    master.db(people)
    whole = jobnotices.compose

    def broken(fact: Any, *args: Any, **kwargs: Any) -> Any:
        if fact.id == "1":
            raise ZeroDivisionError
        return whole(fact, *args, **kwargs)

    monkeypatch.setattr(jobnotices, "compose", broken)
    measure(master, lab)
    measure(master, lab)
    until_told(master, ["job_done:1", "job_done:2"], "mail")
    assert [received.message["Subject"][:14] for received in server.received] == ["job done: 1", "job 2 success:"]
    assert any("while the notice of job_done 1 was written" in line for line in masters.log)


def test_which_notices_are_told() -> None:
    """By kind, target and user; an empty list lets all pass."""
    notice = Notice(1, "k", "lane_stale", 1.0, "linux", "s", "b", ("max", "ada"), {})

    def taken(**given: Any) -> bool:
        return takes(Mail(sender="a@example.org", **given), notice)

    assert taken() and taken(events=("lane_stale",)) and taken(targets=("linux",)) and taken(users=("ada", "x"))
    assert not taken(events=("regression",))
    assert not taken(targets=("macos",))
    assert not taken(users=("bob",))
    assert not taken(events=("lane_stale",), users=("bob",))
