"""What is filed: by the lab for new results, by people, and when a result counts no more or again."""

from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa

from benchyard.publish import outbox
from benchyard.publish.outbox import Place, Places
from benchyard.publish.sending import BASE_LOOK_S, BASE_WAIT_S, take_next
from benchyard.store import jobs, results, senders, uploads
from benchyard.store.errors import Conflict, NotFound
from benchyard.store.rows import Job, Result, Upload

MakeResult = Callable[..., Result]
MakePlace = Callable[..., Place]


@pytest.fixture
def places(make_place: MakePlace) -> Places:
    """One destination that is automatic, one that is not, and one that takes nothing but what is of bob."""
    made = (make_place("auto"), make_place("asked", automatic=False), make_place("bobs", users=("bob",)))
    return {place.name: place for place in made}


def names(filed: tuple[Upload, ...]) -> list[str]:
    return [upload.destination for upload in filed]


def test_new(store: sa.Engine, places: Places, make_result: MakeResult) -> None:
    """A new result goes wherever it may by itself; one that is wanted goes wherever it may; again changes nothing."""
    plain, wanted = make_result(), make_result()
    with store.begin() as conn:
        assert names(outbox.file_new(conn, places, plain, wanted=False, now=5.0)) == ["auto"]
        filed = outbox.file_new(conn, places, wanted, wanted=True, now=5.0)
        assert names(filed) == ["auto", "asked"]
        assert {upload.asked_by for upload in filed} == {"lab"}
        assert outbox.file_new(conn, places, wanted, wanted=True, now=6.0) == filed
        refused = uploads.note_refused(conn, senders.begin(conn, filed[0], now=7.0), words="no", now=7.0)
        assert outbox.file_new(conn, places, wanted, wanted=True, now=8.0) == (refused, filed[1])


def test_faulty_destination_costs_no_job(
    store: sa.Engine, places: Places, make_result: MakeResult, capsys: Any
) -> None:
    """A destination that fails where it should judge gets the result filed, and says so when it is sent."""
    from twisted.python import log

    class Broken:
        can_withdraw = False

        def refusal(self, result: Result) -> str | None:
            raise ValueError("broken")

        slot: Any = refusal

    told: list[Any] = []
    log.addObserver(told.append)
    broken: Any = Broken()
    faulty = {**places, "auto": places["auto"]._replace(destination=broken)}
    with store.begin() as conn:
        (upload,) = outbox.file_new(conn, faulty, make_result(), wanted=False, now=5.0)
    log.removeObserver(told.append)
    assert (upload.destination, upload.slot) == ("auto", f"result {upload.result_id}")
    assert sum(event["isError"] for event in told) == 2


def test_asked(store: sa.Engine, places: Places, make_result: MakeResult) -> None:
    """Who names no destination gets all that may have it; who names one that may not is told why, and nothing else
    is filed.
    """
    result, grade_c = make_result(), make_result(grade="C")
    how: dict[str, Any] = {"again": False, "now": 5.0, "who": "ada"}
    with store.begin() as conn:
        with pytest.raises(Conflict, match=rf"^bobs: result {result.id} has the owner ada; published there are: bob$"):
            outbox.file_asked(conn, places, result.id, ["auto", "bobs"], **how)
        assert uploads.uploads_of_result(conn, result.id) == ()
        assert names(outbox.file_asked(conn, places, result.id, ["asked"], **how)) == ["asked"]
        assert names(outbox.file_asked(conn, places, result.id, [], **how)) == ["auto", "asked"]
        with pytest.raises(NotFound, match=r"^there is no destination 'auot'; did you mean 'auto'\?$"):
            outbox.file_asked(conn, places, result.id, ["auot"], **how)
        with pytest.raises(NotFound):
            outbox.file_asked(conn, places, 999, [], **how)
        with pytest.raises(Conflict, match=r"such as \[publish\.NAME\] to its settings and start the lab anew$"):
            outbox.file_asked(conn, {}, result.id, [], **how)
        with pytest.raises(Conflict, match=r"^auto: result \d+ has the grade C.*; asked: .*; bobs: "):
            outbox.file_asked(conn, places, grade_c.id, [], **how)


def refuse(conn: sa.Connection, result: Result, places: Places) -> Upload:
    (upload,) = outbox.file_asked(conn, places, result.id, ["asked"], again=False, now=5.0, who="ada")
    return uploads.note_refused(conn, senders.begin(conn, upload, now=6.0), words="400", now=7.0)


def test_retry(store: sa.Engine, places: Places, make_result: MakeResult) -> None:
    """All that was refused is asked for again, of an owner's results or of all, as far as it may be there still."""
    mine, others, disabled = make_result(), make_result(owner="eve"), make_result()
    with store.begin() as conn:
        refused = [refuse(conn, result, places) for result in (mine, others, disabled)]
        results.enable_result(conn, disabled.id, False, now=8.0, who="ada")
        how: dict[str, Any] = {"now": 9.0, "who": "ada"}
        assert outbox.ask_all_again(conn, places, destination="auto", owner=None, **how) == ()
        (again,) = outbox.ask_all_again(conn, places, destination=None, owner="ada", **how)
        assert (again.id, again.state, again.asks) == (refused[0].id, "pending", 2)
        (other,) = outbox.ask_all_again(conn, places, destination="asked", owner=None, **how)
        assert other.id == refused[1].id
        with pytest.raises(NotFound):
            outbox.ask_all_again(conn, places, destination="gone", owner=None, **how)


def test_counts_no_more_and_again(store: sa.Engine, places: Places, make_result: MakeResult) -> None:
    """Disabled, a result is taken back from where it is; enabled, it is published again where it was, or was to be."""
    result = make_result()
    with store.begin() as conn:
        auto, asked = outbox.file_new(conn, places, result, wanted=True, now=5.0)
        uploads.note_sent(conn, senders.begin(conn, auto, now=6.0), words="ok", link=None, now=7.0)
        row = results.enable_result(conn, result.id, False, now=8.0, who="ada")
        assert len(outbox.take_back(conn, places, row, now=8.0, who="ada")) == 2
        states = [(u.action, u.state, u.words) for u in uploads.uploads_of_result(conn, result.id)]
        assert states == [
            ("withdraw", "sent", f"result {result.id} was disabled before anything of it was there"),
            ("withdraw", "pending", ""),
        ]
        row = results.enable_result(conn, result.id, True, now=9.0, who="ada")
        assert {upload.id for upload in outbox.put_back(conn, places, row, now=9.0, who="ada")} == {auto.id, asked.id}
        for upload in uploads.uploads_of_result(conn, result.id):
            assert (upload.action, upload.state) == ("publish", "pending")


def status_of(conn: sa.Connection, job: Job, status: str) -> None:
    jobs.set_status(conn, job.id, status, now=50.0, who="lab")


def test_base_is_waited_for(
    store: sa.Engine, places: Places, make_result: MakeResult, make_job: Callable[..., Job]
) -> None:
    """While the job that a result is compared with is on its way, the result waits, without that being a try."""
    base = make_job(status="running")
    result = make_result(job=make_job(base_job=base.id))
    now = 100.0
    with store.begin() as conn:
        (upload,) = outbox.file_new(conn, places, result, wanted=False, now=now)
        taken = take_next(conn, "auto", "a", now=now)
        assert (taken.upload, taken.look_at) == (None, now + BASE_LOOK_S)
        waiting = uploads.get_upload(conn, upload.id)
        assert (waiting.attempts, waiting.words) == (0, f"waits for job {base.id}, which it is compared with")
        assert take_next(conn, "auto", "b", now=now).look_at == now + BASE_LOOK_S, "the lease was given back"
        status_of(conn, base, "success")
        outbox.base_has_ended(conn, base.id, now=now + 1)
        ready = take_next(conn, "auto", "a", now=now + 1).upload
        assert ready is not None and (ready.id, ready.attempts) == (upload.id, 1)


@pytest.mark.parametrize("status", ["failed", "canceled", "created"])
def test_base_that_never_comes(
    store: sa.Engine, places: Places, make_result: MakeResult, make_job: Callable[..., Job], status: str
) -> None:
    """A base that comes to nothing, or is not under way, is not waited for; none is for longer than a day."""
    lost, slow = make_job(status=status), make_job(status="queued")
    with store.begin() as conn:
        outbox.file_new(conn, places, make_result(job=make_job(base_job=lost.id)), wanted=False, now=100.0)
        assert take_next(conn, "auto", "a", now=100.0).upload is not None
    late = make_result(job=make_job(base_job=slow.id))
    with store.begin() as conn:
        (upload,) = outbox.file_new(conn, {"auto": places["auto"]}, late, wanted=False, now=200.0)
        senders.release_lease(conn, "auto", "a")
        first = uploads.list_uploads(conn, before=upload.id)[0]
        uploads.note_sent(conn, first, words="ok", link=None, now=200.0)
        assert take_next(conn, "auto", "a", now=200.0).upload is None
        assert take_next(conn, "auto", "a", now=200.0 + BASE_WAIT_S + 1).upload is not None
