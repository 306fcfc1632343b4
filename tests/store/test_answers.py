"""Answers that are given again."""

import pytest
import sqlalchemy as sa

from benchyard.store import answers
from benchyard.store.rows import Answer

_DAY = 24 * 3600.0


def _remember(conn: sa.Connection, status: int, body: str = "", fingerprint: str = "f", now: float = 1.0) -> Answer:
    return answers.remember(conn, user="ada", key="k", fingerprint=fingerprint, status=status, body=body, now=now)


def test_first_answer_stays(conn: sa.Connection) -> None:
    """What was answered first is what is recalled, by the user's own key only."""
    first = _remember(conn, 201, '{"id": 1, "ü": 2}')
    assert first == Answer("ada", "k", "f", 201, '{"id": 1, "ü": 2}', 1.0)
    assert _remember(conn, 500, "other", now=2.0) == first
    assert _remember(conn, 201, "other", fingerprint="g", now=2.0) == first
    assert answers.recall(conn, "ada", "k", 3.0) == first
    assert answers.recall(conn, "bob", "k", 3.0) is None
    assert answers.recall(conn, "ada", "K", 3.0) is None


def test_unfinished_answer(conn: sa.Connection) -> None:
    """A request that has begun is known, answered once by itself, not by another, and can be forgotten till then."""
    begun = _remember(conn, answers.UNFINISHED)
    assert answers.recall(conn, "ada", "k", 2.0) == begun
    assert _remember(conn, 201, "other", fingerprint="g", now=2.0) == begun
    answers.forget(conn, "ada", "k")
    assert answers.recall(conn, "ada", "k", 2.0) is None
    _remember(conn, answers.UNFINISHED)
    done = _remember(conn, 201, "body", now=3.0)
    assert (done.status, done.body) == (201, "body")
    answers.forget(conn, "ada", "k")
    assert answers.recall(conn, "ada", "k", 4.0) == done


@pytest.mark.parametrize("status", [answers.UNFINISHED, 201])
def test_a_day_later(conn: sa.Connection, status: int) -> None:
    """After a day the key is free again, whether or not somebody has tidied up."""
    _remember(conn, status, "old")
    assert answers.recall(conn, "ada", "k", _DAY) is not None
    assert answers.recall(conn, "ada", "k", _DAY + 1.0) is None
    new = _remember(conn, 200, "new", fingerprint="g", now=_DAY + 1.0)
    assert answers.recall(conn, "ada", "k", _DAY + 2.0) == new
    assert answers.forget_old(conn, _DAY + 2.0) == 0
    assert answers.forget_old(conn, 2 * _DAY + 1.0) == 1
