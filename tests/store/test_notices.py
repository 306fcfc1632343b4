"""Notices: kept once, told once by each notifier, by one master at a time."""

from typing import Any

import pytest
import sqlalchemy as sa

from benchyard.store import notices
from benchyard.store.errors import NotFound, StoreError


def add(conn: sa.Connection, key: str, **given: Any) -> Any:
    values = {"kind": "job_done", "time": 100.0, "subject": "job 1 success", "body": "text\n", "users": ("ada",)}
    return notices.add_notice(conn, key=key, **{**values, **given})


def test_a_fact_has_one_notice(conn: sa.Connection) -> None:
    """The same key again changes nothing, and is told to be known."""
    made = add(conn, "job_done:1", data={"geometric_mean": 0.95}, target="linux")
    assert (made.users, made.data, made.target) == (("ada",), {"geometric_mean": 0.95}, "linux")
    assert add(conn, "job_done:1", subject="another") is None
    assert notices.get_notice(conn, made.id) == notices.notice_of_key(conn, "job_done:1") == made
    with pytest.raises(NotFound, match="there is no notice 99"):
        notices.get_notice(conn, 99)
    with pytest.raises(StoreError, match="unknown kind of notice 'gossip'; known are job_done, regression"):
        add(conn, "x", kind="gossip")


def test_lists(conn: sa.Connection) -> None:
    """Notices are found by kind, user (the whole name), target and time, newest first, and page by their ids."""
    first = add(conn, "a", users=("ada", "bob"), time=1.0)
    second = add(conn, "b", kind="lane_stale", users=("ad_",), target="linux", time=2.0)
    third = add(conn, "c", users=(), time=3.0)
    assert [each.id for each in notices.list_notices(conn)] == [third.id, second.id, first.id]
    assert notices.list_notices(conn, user="bob") == (first,)
    assert notices.list_notices(conn, user="ada") == (first,)  # `_` stands for itself
    assert notices.list_notices(conn, user="ad") == ()
    assert notices.list_notices(conn, kind=["lane_stale"]) == (second,)
    assert notices.list_notices(conn, target="linux") == (second,)
    assert notices.list_notices(conn, since=2.0, until=3.0) == (second,)
    assert notices.list_notices(conn, before=third.id, limit=1) == (second,)


def test_what_is_untold(conn: sa.Connection) -> None:
    """A notifier has left what nothing became of with it, in order; the first word on it stays."""
    first, second, third = (add(conn, key, time=time) for key, time in (("a", 1.0), ("b", 2.0), ("c", 3.0)))
    assert notices.untold(conn, "mail", after=0, since=0.0) == (first, second, third)
    assert notices.untold(conn, "mail", after=first.id, since=0.0, limit=1) == (second,)
    assert notices.untold(conn, "mail", after=0, since=2.5) == (third,)
    notices.note_telling(conn, first.id, "mail", outcome="told", now=5.0)
    notices.note_telling(conn, first.id, "mail", outcome="failed", words="550", now=6.0)
    assert notices.untold(conn, "mail", after=0, since=0.0) == (second, third)
    assert notices.untold(conn, "chat", after=0, since=0.0) == (first, second, third)
    ((told,),) = notices.tellings_of(conn, [first.id, second.id]).values()
    assert (told.notifier, told.outcome, told.words, told.time) == ("mail", "told", "", 5.0)
    with pytest.raises(StoreError, match="unknown outcome 'shrug'"):
        notices.note_telling(conn, second.id, "mail", outcome="shrug", now=6.0)


def test_one_master_tells_at_a_time(conn: sa.Connection) -> None:
    """A notifier is held until it is let go or the time is up; who holds it may go on."""
    assert notices.find_notifier(conn, "mail") is None
    assert notices.make_notifier(conn, "mail", now=10.0).since == 10.0
    assert notices.hold(conn, "mail", "one", now=20.0, for_s=60.0)
    assert not notices.hold(conn, "mail", "two", now=79.0, for_s=60.0)
    assert notices.hold(conn, "mail", "one", now=50.0, for_s=60.0)
    assert not notices.hold(conn, "mail", "two", now=109.0, for_s=60.0)
    assert notices.hold(conn, "mail", "two", now=110.0, for_s=60.0)
    notices.let_go(conn, "one")
    assert not notices.hold(conn, "mail", "one", now=111.0, for_s=60.0)
    notices.let_go(conn, "two")
    assert notices.hold(conn, "mail", "one", now=111.0, for_s=60.0)
    assert notices.make_notifier(conn, "mail", now=500.0).since == 10.0


def test_what_is_watched(conn: sa.Connection) -> None:
    """A position moves on only from where it was seen, so that two masters write nothing twice."""
    assert notices.find_watch(conn, "history") is None
    assert notices.watch(conn, "history", now=1.0, position=7).position == 7
    assert notices.watch(conn, "history", now=2.0, position=0) == notices.find_watch(conn, "history")
    assert notices.advance(conn, "history", seen=7, position=9)
    assert not notices.advance(conn, "history", seen=7, position=8)
    watch = notices.find_watch(conn, "history")
    assert watch is not None and (watch.position, watch.since) == (9, 1.0)


def test_old_ones_are_forgotten(conn: sa.Connection) -> None:
    """With what became of them; and no id is given again."""
    first = add(conn, "a", time=1.0)
    notices.note_telling(conn, first.id, "mail", outcome="told", now=5.0)
    assert notices.forget_old(conn, 1.0) == 0
    assert notices.forget_old(conn, 2.0) == 1
    assert notices.tellings_of(conn, [first.id]) == {}
    assert add(conn, "a").id > first.id
