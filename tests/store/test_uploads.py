"""Uploads: filed once, sent in order, noted for good; and who sends them."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import sqlalchemy as sa

from benchyard.store import results, senders, uploads
from benchyard.store.errors import StoreError
from benchyard.store.history import history_of
from benchyard.store.rows import Upload

MakeResult = Callable[..., int]

DAY = 24 * 3600.0


@pytest.fixture
def make_result() -> MakeResult:
    """`make_result(conn)`: a result, whatever it may be of; gives its id."""

    def make(conn: sa.Connection, owner: str = "ada") -> int:
        how: dict[str, Any] = {"host": "quiet", "target": None, "commit": None, "branch": None}
        return results.new_result(conn, now=1.0, who=owner, owner=owner, **how).id

    return make


def file(conn: sa.Connection, result: int, *, now: float = 10.0, to: str = "speed", **given: Any) -> Upload:
    """File a result, each in a slot of its own."""
    how: dict[str, Any] = {"slot": f"result {result}", "give_up_s": DAY, "who": "ada", **given}
    return uploads.file_upload(conn, result, to, now=now, **how)


def begun(conn: sa.Connection, upload: Upload, now: float = 11.0) -> Upload:
    return senders.begin(conn, upload, now=now)


def test_filed_once(conn: sa.Connection, make_result: MakeResult) -> None:
    """Filing what is pending or sent changes nothing; asked for again, it is another ask with another key."""
    result = make_result(conn)
    first = file(conn, result)
    assert (first.action, first.state, first.asks, first.attempts) == ("publish", "pending", 1, 0)
    assert (first.next_try, first.deadline, first.asked_by) == (10.0, 10.0 + DAY, "ada")
    assert file(conn, result, now=20.0, who="bob") == first
    sent = uploads.note_sent(conn, begun(conn, first), words="202 Accepted", link="http://speed/1", now=12.0)
    assert (sent.state, sent.words, sent.link, sent.sent) == ("sent", "202 Accepted", "http://speed/1", 12.0)
    assert file(conn, result, now=30.0) == sent
    again = file(conn, result, now=40.0, again=True, who="bob")
    assert (again.state, again.asks, again.attempts, again.asked_by) == ("pending", 2, 0, "bob")
    assert again.key != first.key
    assert again.sent == 12.0, "what is there is there still"
    changes = [(change.who, change.change["state"]) for change in history_of(conn, "upload", first.id)]
    assert changes == [("ada", "pending"), ("lab", "sent"), ("bob", "pending")]


def test_again_hurries_what_waits(conn: sa.Connection, make_result: MakeResult) -> None:
    """Asked for again, what waits after trouble is tried at once, and stays the same ask: it may have arrived."""
    upload = begun(conn, file(conn, make_result(conn)))
    waiting = uploads.note_trouble(conn, upload, words="connection refused", delay_s=600.0, now=12.0)
    assert (waiting.state, waiting.words, waiting.next_try) == ("pending", "connection refused", 612.0)
    hurried = file(conn, upload.result_id, now=20.0, again=True)
    assert (hurried.next_try, hurried.deadline, hurried.key) == (20.0, 20.0 + DAY, upload.key)


def test_trouble_up_to_the_deadline(conn: sa.Connection, make_result: MakeResult) -> None:
    """It is tried for the last time at its deadline, has failed after that, and may be asked for again."""
    upload = begun(conn, file(conn, make_result(conn)))
    late = upload.deadline - 100.0
    waiting = uploads.note_trouble(conn, upload, words="busy", delay_s=1800.0, now=late)
    assert (waiting.state, waiting.next_try) == ("pending", upload.deadline)
    failed = uploads.note_trouble(conn, waiting, words="still busy", delay_s=1800.0, now=upload.deadline)
    assert (failed.state, failed.words) == ("failed", "still busy")
    assert uploads.ask_again(conn, failed.id, give_up_s=DAY, now=upload.deadline + 1, who="ada").state == "pending"


def test_given_up_together(conn: sa.Connection, make_result: MakeResult) -> None:
    """Of a destination in trouble, all that is past its deadline has failed; nothing else has."""
    old, new, elsewhere = file(conn, make_result(conn)), file(conn, make_result(conn), now=500.0), make_result(conn)
    other = file(conn, elsewhere, to="hook")
    given_up = uploads.give_up(conn, "speed", words="no connection", now=old.deadline)
    assert [(upload.id, upload.state, upload.words) for upload in given_up] == [(old.id, "failed", "no connection")]
    assert [uploads.get_upload(conn, upload.id).state for upload in (new, other)] == ["pending", "pending"]


def test_refused(conn: sa.Connection, make_result: MakeResult) -> None:
    """What was refused is not sent any more until somebody asks; nothing of it is there, unless it was before."""
    upload = begun(conn, file(conn, make_result(conn)))
    refused = uploads.note_refused(conn, upload, words="400 Bad Request", now=12.0)
    assert (refused.state, refused.words, refused.begun) == ("refused", "400 Bad Request", None)
    assert senders.next_due(conn, "speed", now=DAY) is None
    assert file(conn, upload.result_id, now=13.0).state == "pending"
    sent = uploads.note_sent(conn, begun(conn, uploads.get_upload(conn, upload.id)), words="ok", link=None, now=14.0)
    again = begun(conn, file(conn, sent.result_id, now=15.0, again=True))
    assert uploads.note_refused(conn, again, words="no more", now=16.0).begun is not None


def test_outcome_of_an_older_ask(conn: sa.Connection, make_result: MakeResult) -> None:
    """What came of a try counts for its own ask only: a later one stays pending, but that it is there is known."""
    upload = begun(conn, file(conn, make_result(conn)))
    (withdrawn,) = uploads.withdraw_uploads(
        conn, upload.result_id, able={"speed": DAY}, why="it was disabled", now=12.0, who="bob"
    )
    assert (withdrawn.action, withdrawn.state) == ("withdraw", "pending")
    assert uploads.note_refused(conn, upload, words="no", now=13.0) == withdrawn
    assert uploads.note_trouble(conn, upload, words="no", delay_s=1.0, now=13.0) == withdrawn
    noted = uploads.note_sent(conn, upload, words="yes", link="http://speed/1", now=14.0)
    assert (noted.action, noted.state, noted.sent, noted.words) == ("withdraw", "pending", 14.0, "")
    taken = senders.next_due(conn, "speed", now=14.0)
    assert taken == noted
    gone = uploads.note_sent(conn, begun(conn, noted), words="removed", link=None, now=15.0)
    assert (gone.state, gone.sent, gone.begun, gone.link) == ("sent", None, None, None)


def test_late_trouble_does_not_undo(conn: sa.Connection, make_result: MakeResult) -> None:
    """What one sender has noted as sent, another that lost its lease does not note as trouble."""
    upload = begun(conn, file(conn, make_result(conn)))
    sent = uploads.note_sent(conn, upload, words="ok", link=None, now=12.0)
    assert uploads.note_trouble(conn, upload, words="reset", delay_s=5.0, now=13.0) == sent
    assert uploads.note_refused(conn, upload, words="gone", now=13.0) == sent


def test_taken_back(conn: sa.Connection, make_result: MakeResult) -> None:
    """Disabled, what was not begun is dropped; what may be there is taken back where that can be, and else stays."""
    result = make_result(conn)
    waiting = file(conn, result, to="waiting")
    trying, stuck = (begun(conn, file(conn, result, to=name)) for name in ("trying", "stuck"))
    there = uploads.note_sent(conn, begun(conn, file(conn, result, to="there")), words="ok", link=None, now=12.0)
    changed = uploads.withdraw_uploads(
        conn, result, able={"waiting": DAY, "trying": DAY}, why="it was disabled", now=20.0, who="ada"
    )
    states = {upload.destination: (upload.action, upload.state) for upload in uploads.uploads_of_result(conn, result)}
    assert states == {
        "waiting": ("withdraw", "sent"),
        "trying": ("withdraw", "pending"),
        "stuck": ("publish", "failed"),
        "there": ("publish", "sent"),
    }
    assert {upload.id for upload in changed} == {waiting.id, trying.id, stuck.id}
    assert there.id not in {upload.id for upload in changed}
    again = uploads.withdraw_uploads(conn, result, able={"trying": DAY}, why="it was disabled", now=21.0, who="ada")
    assert again == ()


def order_of(conn: sa.Connection, now: float) -> list[int]:
    """The results in the order in which they are sent, each of them with success."""
    found = []
    while (upload := senders.next_due(conn, "speed", now=now)) is not None:
        found.append(upload.result_id)
        uploads.note_sent(conn, begun(conn, upload, now), words="ok", link=None, now=now)
    return found


def test_first_asked_first_sent(conn: sa.Connection, make_result: MakeResult) -> None:
    """Uploads are sent in the order in which they were asked for, also those of one moment; others' are not touched."""
    made = [make_result(conn) for _ in range(4)]
    for result in made:
        file(conn, result, now=10.0)
        file(conn, result, now=10.0, to="hook")
    assert senders.next_due(conn, "speed", now=9.0) is None
    assert order_of(conn, 10.0) == made


def test_who_waits_holds_nobody_up(conn: sa.Connection, make_result: MakeResult) -> None:
    """One that met trouble waits; others pass, but for those of its slot, which never overtake it."""
    first, second, third = (make_result(conn) for _ in range(3))
    poison = file(conn, first, slot="commit a")
    file(conn, second, slot="commit a", now=11.0)
    file(conn, third, slot="commit b", now=12.0)
    uploads.note_trouble(conn, begun(conn, poison), words="500", delay_s=600.0, now=13.0)
    assert order_of(conn, 14.0) == [third]
    assert senders.next_time(conn, "speed", now=14.0) == 613.0
    assert order_of(conn, 613.0) == [first, second]


def test_slot_is_free_when_the_older_has_ended(conn: sa.Connection, make_result: MakeResult) -> None:
    """Once the older one of a slot was refused, failed or withdrawn, the newer one is sent."""
    for end in ("refused", "withdrawn"):
        old, new = make_result(conn), make_result(conn)
        upload = begun(conn, file(conn, old, slot=end))
        file(conn, new, slot=end, now=11.0)
        uploads.note_trouble(conn, upload, words="500", delay_s=600.0, now=12.0)
        assert senders.next_due(conn, "speed", now=13.0) is None
        if end == "refused":
            uploads.note_refused(conn, upload, words="400", now=13.0)
        else:
            uploads.withdraw_uploads(conn, old, able={}, why="it was trashed", now=13.0, who="ada")
        assert order_of(conn, 14.0) == [new]


def test_listed(conn: sa.Connection, make_result: MakeResult) -> None:
    """Lists are newest first, by state, destination and result, page by page; what is outstanding is counted."""
    made = [file(conn, make_result(conn), to=to) for to in ("speed", "hook", "speed")]
    uploads.note_sent(conn, begun(conn, made[0]), words="ok", link=None, now=12.0)
    uploads.note_refused(conn, begun(conn, made[1]), words="no", now=12.0)

    def ids(**filters: Any) -> list[int]:
        return [upload.id for upload in uploads.list_uploads(conn, **filters)]

    newest = [made[2].id, made[1].id, made[0].id]
    assert ids() == newest
    assert ids(limit=2) == newest[:2]
    assert ids(before=made[1].id) == newest[2:]
    assert ids(state=["pending", "refused", "failed"]) == newest[:2]
    assert ids(state=["refused"]) == [made[1].id]
    assert ids(state=["sent"], destination="speed") == [made[0].id]
    assert ids(destination="hook") == ids(result=made[1].result_id) == [made[1].id]
    with pytest.raises(StoreError, match=r"^unknown state of an upload 'lost'; known are pending, sent"):
        ids(state=["lost"])
    assert uploads.count_outstanding(conn) == {
        "hook": {"pending": 0, "refused": 1, "failed": 0},
        "speed": {"pending": 1, "refused": 0, "failed": 0},
    }


def test_lease(conn: sa.Connection) -> None:
    """A lease is one master's until it gives it back or lets it lapse; it renews its own."""
    assert senders.take_lease(conn, "speed", "a", now=10.0, until=70.0) is None
    assert senders.take_lease(conn, "speed", "b", now=11.0, until=71.0) == 70.0
    assert senders.take_lease(conn, "hook", "b", now=11.0, until=71.0) is None
    assert senders.take_lease(conn, "speed", "a", now=60.0, until=120.0) is None
    assert senders.take_lease(conn, "speed", "b", now=71.0, until=131.0) == 120.0
    senders.release_lease(conn, "speed", "b")
    assert senders.take_lease(conn, "speed", "b", now=72.0, until=132.0) == 120.0, "what was not b's to give back"
    senders.release_lease(conn, "speed", "a")
    assert senders.take_lease(conn, "speed", "b", now=73.0, until=133.0) is None
    assert senders.take_lease(conn, "speed", "a", now=133.0, until=193.0) is None, "b has let it lapse"
    senders.note_words(conn, "speed", words="202 Accepted", now=134.0)
    assert [(one.destination, one.holder, one.words, one.answered) for one in senders.list_senders(conn)] == [
        ("hook", "b", "", None),
        ("speed", "a", "202 Accepted", 134.0),
    ]


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(8) as pool:
        yield pool


def test_filed_by_many_at_once(store: sa.Engine, make_result: MakeResult, threads: ThreadPoolExecutor) -> None:
    """Filed by several masters at the same moment, it is one upload, with one ask."""
    with store.begin() as conn:
        result = make_result(conn)

    def work(_number: int) -> Upload:
        with store.begin() as conn:
            return file(conn, result)

    assert len({upload.id for upload in threads.map(work, range(16))}) == 1
    with store.begin() as conn:
        (upload,) = uploads.list_uploads(conn)
        assert upload.asks == 1
        assert len(history_of(conn, "upload", upload.id)) == 1


def test_many_masters_send_once(store: sa.Engine, make_result: MakeResult, threads: ThreadPoolExecutor) -> None:
    """However many masters look for something to send, each upload is begun once: who has no lease gets nothing."""
    with store.begin() as conn:
        made = [make_result(conn) for _ in range(30)]
        for result in made:
            file(conn, result)

    def send(number: int) -> list[int]:
        sent: list[int] = []
        idle = 0
        while idle < 20:
            with store.begin() as conn:
                if senders.take_lease(conn, "speed", f"master {number}", now=20.0, until=80.0) is not None:
                    idle += 1
                    continue
                upload = senders.next_due(conn, "speed", now=20.0)
                if upload is None:
                    senders.release_lease(conn, "speed", f"master {number}")
                    return sent
                upload = begun(conn, upload, 20.0)
            sent.append(upload.result_id)
            with store.begin() as conn:
                uploads.note_sent(conn, upload, words="ok", link=None, now=21.0)
        return sent

    by_master = list(threads.map(send, range(4)))
    assert sorted(result for sent in by_master for result in sent) == made
    with store.begin() as conn:
        assert {upload.attempts for upload in uploads.list_uploads(conn)} == {1}
