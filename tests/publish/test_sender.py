"""Senders, with real requests to a real server, and a clock that passes as the test wants it."""

import io
import json
import threading
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from receiver import Answer, Receiver
from twisted.internet import reactor, task
from twisted.internet.task import Clock

from benchyard.publish import outbox
from benchyard.publish.destinations import Receipt
from benchyard.publish.outbox import Place
from benchyard.publish.sender import LONGEST_PAUSE_S, LONGEST_S, Lab, Sender
from benchyard.publish.sending import LEASE_S, take_next
from benchyard.publish.settings import Webhook
from benchyard.store import results, senders, uploads
from benchyard.store.rows import Result, Upload

Spin = Callable[..., Any]
Settle = Callable[..., Awaitable[Any]]
MakeResult = Callable[..., Result]
MakePlace = Callable[..., Place]

HOUR = 3600.0


class Post:
    """A clock, and the senders of a destination that go by it."""

    def __init__(self, place: Place, db: Callable[..., Any], results_dir: Path, settle: Settle) -> None:
        self.place, self.settle = place, settle
        self.clock = Clock()
        self.clock.advance(1_800_000_000.0)
        self.lab = Lab(db, self.clock, results_dir, "http://lab.example:8010/")
        self.senders: list[Sender] = []
        self.told: list[Upload] = []

    def start(self, holder: str = "master a", place: Place | None = None, chance: float = 1.0) -> Sender:
        sender = Sender(place or self.place, self.lab, holder, self.told.append, lambda: chance)
        self.senders.append(sender)
        sender.start()
        return sender

    async def stop(self, sender: Sender) -> None:
        self.senders.remove(sender)
        await sender.stop()

    async def file(self, *made: Result, again: bool = False) -> None:
        for result in made:
            how: dict[str, Any] = {"again": again, "now": self.clock.seconds(), "who": "ada"}
            await self.lab.db(outbox.file_asked, {self.place.name: self.place}, result.id, [], **how)
        for sender in self.senders:
            sender.wake()

    async def uploads(self) -> list[Upload]:
        """All uploads, oldest first."""
        return list(reversed(await self.lab.db(uploads.list_uploads, limit=1000)))

    async def rest(self) -> None:
        """Wait until all senders have nothing to do at this moment."""
        deadline = time.monotonic() + 30.0
        while not all(sender.asleep for sender in self.senders):
            assert time.monotonic() < deadline, "the senders do not rest"
            await task.deferLater(reactor, 0.0)

    async def pass_time(self, seconds: float) -> None:
        """Let time pass, from one thing that is to be done to the next."""
        end = self.clock.seconds() + seconds
        while True:
            await self.rest()
            due = [call.getTime() for call in self.clock.getDelayedCalls()]
            step = min([end, *due]) - self.clock.seconds()
            self.clock.advance(max(step, 0.0))
            await self.rest()
            if self.clock.seconds() >= end:
                return

    async def states(self) -> list[str]:
        return [upload.state for upload in await self.uploads()]


@pytest.fixture
def place(make_place: MakePlace) -> Place:
    return make_place("hook")


@pytest.fixture
def post(
    place: Place, db: Callable[..., Any], results_dir: Path, settle: Settle, spin: Spin, receiver: Receiver
) -> Any:
    post = Post(place, db, results_dir, settle)
    yield post

    async def stop_all() -> None:
        for sender in list(post.senders):
            await post.stop(sender)

    spin(stop_all())


def ids(receiver: Receiver) -> list[str]:
    """The messages that were taken, each as often as it was."""
    return [received.headers["webhook-id"] for received in receiver.taken]


def told_results(receiver: Receiver) -> list[int]:
    return [json.loads(received.body)["data"]["result"]["id"] for received in receiver.taken]


def test_sent_in_order(post: Post, spin: Spin, receiver: Receiver, make_result: MakeResult) -> None:
    """What is filed is sent one after the other, once, and noted with the server's words; then the lease is free."""
    made = [make_result(values={"nbody": [float(n)]}) for n in range(1, 6)]

    async def work() -> None:
        post.start()
        await post.file(*made)
        await post.rest()
        for upload in await post.uploads():
            assert (upload.state, upload.words, upload.attempts) == ("sent", "200 OK: thanks", 1)
            assert upload.sent == post.clock.seconds()
        (sender,) = await post.lab.db(senders.list_senders)
        assert (sender.holder, sender.words) == ("", "200 OK: thanks")

    spin(work())
    assert told_results(receiver) == [result.id for result in made]
    means = [json.loads(received.body)["data"]["benchmarks"]["nbody"]["mean"] for received in receiver.taken]
    assert means == [1.0, 2.0, 3.0, 4.0, 5.0]
    assert [upload.state for upload in post.told] == ["sent"] * 5


def test_down_for_a_day(post: Post, spin: Spin, receiver: Receiver, make_result: MakeResult) -> None:
    """A server that is away for a day is left in peace meanwhile, and gets everything when it is back, once, whatever
    restarts in between.
    """
    made = [make_result() for _ in range(25)]

    async def work() -> None:
        receiver.down()
        sender = post.start()
        await post.file(*made[:20])
        await post.pass_time(12 * HOUR)
        await post.stop(sender)
        post.start("master b")
        await post.pass_time(12 * HOUR)
        await post.file(*made[20:])
        waiting = await post.uploads()
        assert {(upload.state, upload.words) for upload in waiting if upload.attempts} == {
            ("pending", "connection refused")
        }
        tries = sum(upload.attempts for upload in waiting)
        assert tries < 24 * HOUR / LONGEST_PAUSE_S + 40, "with full jitter of 1, each pause is the longest"
        receiver.up()
        await post.pass_time(2 * LONGEST_PAUSE_S)
        assert set(await post.states()) == {"sent"}, "what waits does not wait longer when the first has arrived"

    spin(work(), 120.0)
    assert sorted(told_results(receiver)) == [result.id for result in made]
    assert len(set(ids(receiver))) == len(made)


def test_answers_of_all_kinds(post: Post, spin: Spin, receiver: Receiver, make_result: MakeResult) -> None:
    """Cut off, failing before and after it has saved: in the end all is there, and what came twice can be told."""
    made = [make_result() for _ in range(6)]
    receiver.answers = [
        Answer(500, b"saved all the same", taken=True),
        Answer(200, b"cut off, and saved", cut=True),
        Answer(503, b"away"),
        Answer(429, b"slowly", {"Retry-After": "7200"}),
        Answer(502, b"gateway"),
    ]

    async def work() -> None:
        post.start()
        await post.file(*made)
        await post.rest()
        assert "sent" not in await post.states(), "three in a row: it is left alone"
        await post.pass_time(6 * HOUR)
        assert set(await post.states()) == {"sent"}

    spin(work(), 120.0)
    assert set(told_results(receiver)) == {result.id for result in made}
    assert len(receiver.taken) == len(made) + 2
    assert len(set(ids(receiver))) == len(made), "who looks at the message's id has each once"


def test_retry_after_is_kept(post: Post, spin: Spin, receiver: Receiver, make_result: MakeResult) -> None:
    """A server that asks for a time gets it, for all that is to be sent there."""
    receiver.answers = [Answer(429, headers={"Retry-After": "5000"})]

    async def work() -> None:
        post.start()
        await post.file(make_result(), make_result())
        await post.pass_time(4990.0)
        assert len(receiver.seen) == 1
        await post.pass_time(LONGEST_S)
        assert await post.states() == ["sent", "sent"]

    spin(work())


def test_poison_blocks_nobody(
    post: Post, spin: Spin, receiver: Receiver, make_result: MakeResult, make_place: MakePlace
) -> None:
    """Results that the server fails at time and again do not keep others from being sent."""
    post.place = make_place("hook", give_up_h=3.0)
    poison, good = [make_result(grade="B") for _ in range(4)], [make_result() for _ in range(6)]
    fail_at = {result.id for result in poison}
    handle = receiver.handle

    def choose(handler: Any) -> None:
        length = int(handler.headers["Content-Length"])
        body = handler.rfile.read(length)
        bad = json.loads(body)["data"]["result"]["id"] in fail_at
        receiver.answers.insert(0, Answer(500, b"poison") if bad else Answer())
        handler.rfile = io.BytesIO(body)
        handle(handler)

    receiver.handle = choose  # type: ignore[method-assign]

    async def work() -> None:
        post.start()
        await post.file(*poison, *good)
        await post.pass_time(2 * LONGEST_PAUSE_S)
        by_result = {upload.result_id: upload.state for upload in await post.uploads()}
        assert {by_result[result.id] for result in good} == {"sent"}
        assert {by_result[result.id] for result in poison} == {"pending"}
        await post.pass_time(post.place.give_up_s)
        by_result = {upload.result_id: upload.state for upload in await post.uploads()}
        assert {by_result[result.id] for result in poison} == {"failed"}
        later = make_result()
        await post.file(later)
        await post.pass_time(LONGEST_PAUSE_S)
        assert (await post.uploads())[-1].state == "sent"

    spin(work(), 240.0)


def test_refused_is_not_sent_again(post: Post, spin: Spin, receiver: Receiver, make_result: MakeResult) -> None:
    """What the server refuses is refused, with its words, until somebody asks again."""
    result = make_result()
    receiver.answers = [Answer(422, b'{"message": "no such project"}', {"Content-Type": "application/json"})]

    async def work() -> None:
        post.start()
        await post.file(result)
        await post.pass_time(6 * HOUR)
        (upload,) = await post.uploads()
        assert (upload.state, upload.words) == ("refused", "422 Unprocessable Entity: no such project")
        assert len(receiver.seen) == 1
        await post.file(result)
        await post.rest()
        assert await post.states() == ["sent"]

    spin(work())
    assert len({received.headers["webhook-id"] for received in receiver.seen}) == 2


def test_policy_is_asked_again(post: Post, spin: Spin, receiver: Receiver, make_result: MakeResult) -> None:
    """What was filed and may not be sent any more, by then, is not sent."""
    result = make_result()

    async def work() -> None:
        await post.file(result)
        post.start(place=post.place._replace(settings=Webhook(url="http://x.example/", grades=("C",))))
        await post.rest()
        (upload,) = await post.uploads()
        assert (upload.state, upload.words) == (
            "refused",
            f"result {result.id} has the grade A; published there are: C",
        )

    spin(work())
    assert receiver.seen == []


def test_file_is_gone(post: Post, spin: Spin, receiver: Receiver, make_result: MakeResult, results_dir: Path) -> None:
    """A result whose file somebody has removed is refused, with the file's name."""
    result = make_result()
    (results_dir / str(result.path)).unlink()

    async def work() -> None:
        post.start()
        await post.file(result)
        await post.rest()
        (upload,) = await post.uploads()
        assert upload.state == "refused"
        assert upload.words == f"the file of result {result.id} is gone from the results folder: {result.path}"

    spin(work())


def test_fault_of_ours(post: Post, spin: Spin, make_result: MakeResult, logged_errors: list[str]) -> None:
    """An error that nobody thought of is logged, and the upload tried again later."""
    result = make_result()

    class Broken:
        can_withdraw = True

        def refusal(self, _result: Result) -> None:
            return None

        slot: Any = None

        async def publish(self, _publication: Any) -> Any:
            raise ZeroDivisionError("geheim")

        async def close(self) -> None:
            return None

    broken: Any = Broken()

    async def work() -> None:
        await post.file(result)
        sender = post.start(place=post.place._replace(destination=broken))
        await post.rest()
        (upload,) = await post.uploads()
        assert (upload.state, upload.attempts) == ("pending", 1)
        assert upload.words == "something went wrong in the lab (ZeroDivisionError); the master's twistd.log says what"
        await post.stop(sender)
        post.start()
        await post.pass_time(60.0)
        assert await post.states() == ["sent"]

    spin(work())
    assert len(logged_errors) == 1 and "ZeroDivisionError" in logged_errors[0]
    logged_errors.clear()


def test_only_links_that_are_links(post: Post, spin: Spin, make_result: MakeResult) -> None:
    """An address that a destination says it shows a result at is kept if a browser would fetch it, and not run it."""

    class Told:
        def __init__(self, link: str) -> None:
            self.receipt = Receipt("shown", link)

        def refusal(self, _result: Result) -> None:
            return None

        async def publish(self, _publication: Any) -> Receipt:
            return self.receipt

        async def close(self) -> None:
            return None

    async def work() -> None:
        for link in ("https://speed.example/1", "javascript:alert(1)"):
            await post.file(make_result())
            told: Any = Told(link)
            sender = post.start(place=post.place._replace(destination=told))
            await post.rest()
            await post.stop(sender)
        assert [upload.link for upload in await post.uploads()] == ["https://speed.example/1", None]

    spin(work())


def test_two_masters_send_once(post: Post, spin: Spin, receiver: Receiver, make_result: MakeResult) -> None:
    """Of two services on one datastore, one at a time sends; everything arrives once."""
    made = [make_result() for _ in range(30)]

    async def work() -> None:
        post.start("master a")
        post.start("master b")
        for result in made:
            await post.file(result)
        await post.pass_time(2 * LEASE_S)
        assert set(await post.states()) == {"sent"}
        assert {upload.attempts for upload in await post.uploads()} == {1}

    spin(work())
    assert sorted(ids(receiver)) == sorted(set(ids(receiver)))
    assert sorted(told_results(receiver)) == [result.id for result in made]


def test_lease_of_a_dead_master(post: Post, spin: Spin, receiver: Receiver, make_result: MakeResult) -> None:
    """A master that died while it sent keeps its lease until that lapses; then another takes over, and sends it."""
    result = make_result()

    async def work() -> None:
        await post.file(result)
        taken = await post.lab.db(take_next, post.place.name, "dead", now=post.clock.seconds())
        assert taken.upload.result_id == result.id
        post.start("alive")
        await post.pass_time(LEASE_S - 1.0)
        assert receiver.seen == []
        await post.pass_time(2.0)
        (upload,) = await post.uploads()
        assert (upload.state, upload.attempts) == ("sent", 2)

    spin(work())
    assert len(receiver.taken) == 1


def test_lease_is_renewed(post: Post, spin: Spin, settle: Settle, receiver: Receiver, make_result: MakeResult) -> None:
    """What takes longer than a lease is still sent by one master alone."""
    answer = threading.Event()
    receiver.otherwise = Answer(hold=answer)

    async def work() -> None:
        sender = post.start("slow")
        await post.file(make_result())
        await settle(lambda: receiver.seen, "the request has arrived")
        other = post.start("other")
        for _ in range(20):
            post.clock.advance(LEASE_S / 4)
            await settle(lambda: other.asleep, "the other rests")
        assert not sender.asleep
        answer.set()
        await post.rest()
        assert await post.states() == ["sent"]

    spin(work())
    assert len(receiver.seen) == 1


def test_stopped_in_the_middle(
    post: Post, spin: Spin, settle: Settle, receiver: Receiver, make_result: MakeResult
) -> None:
    """A sender that is stopped while a server says nothing stops at once and gives its lease back; the upload stays
    pending and is sent by the next, under the same id.
    """
    receiver.answers = [Answer(hold=threading.Event(), taken=True)]

    async def work() -> None:
        sender = post.start("first")
        await post.file(make_result())
        await settle(lambda: receiver.seen, "the request has arrived")
        await post.stop(sender)
        (upload,) = await post.uploads()
        assert (upload.state, upload.words, upload.attempts) == ("pending", "", 1)
        assert (await post.lab.db(senders.list_senders))[0].holder == ""
        post.start("second")
        await post.rest()
        assert await post.states() == ["sent"]

    spin(work(), 30.0)
    assert len(receiver.taken) == 2 and len(set(ids(receiver))) == 1


def test_disabled_while_it_is_sent(
    post: Post, spin: Spin, settle: Settle, receiver: Receiver, make_result: MakeResult
) -> None:
    """A result that is disabled while it is being sent is taken back afterwards."""
    answer = threading.Event()
    receiver.answers = [Answer(hold=answer)]
    result = make_result()

    async def work() -> None:
        post.start()
        await post.file(result)
        await settle(lambda: receiver.seen, "the request has arrived")
        how: dict[str, Any] = {"now": post.clock.seconds(), "who": "ada"}
        row = await post.lab.db(results.enable_result, result.id, False, **how)
        await post.lab.db(outbox.take_back, {post.place.name: post.place}, row, **how)
        answer.set()
        await post.settle(lambda: len(receiver.seen) == 2, "it is taken back")
        await post.rest()
        (upload,) = await post.uploads()
        assert (upload.action, upload.state, upload.sent) == ("withdraw", "sent", None)

    spin(work())
    assert [json.loads(received.body)["type"] for received in receiver.taken] == [
        "result.published",
        "result.withdrawn",
    ]


def test_datastore_is_away_when_it_is_noted(
    post: Post, spin: Spin, settle: Settle, receiver: Receiver, make_result: MakeResult, logged_errors: list[str]
) -> None:
    """What came of a try is not forgotten while the datastore is away: it is sent once all the same."""
    failures = [sa.exc.OperationalError("COMMIT", {}, Exception("away")) for _ in range(3)]
    db = post.lab.db

    async def sometimes(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        if function.__name__ == "note_sent" and failures:
            raise failures.pop()
        return await db(function, *args, **kwargs)

    post.lab = post.lab._replace(db=sometimes)

    async def work() -> None:
        post.start()
        await post.file(make_result())
        for left in (2, 1, 0):
            await settle(lambda left=left: len(failures) == left, "another try to write it down")
            await settle(lambda: post.clock.getDelayedCalls(), "it waits")
            post.clock.advance(5.0)
        await post.rest()
        assert await post.states() == ["sent"]

    spin(work())
    assert len(receiver.seen) == 1
    assert len(logged_errors) == 3
    logged_errors.clear()
