"""Webhooks: what is told of a result, and that the other side can tell who tells it, and whether it was told before."""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from receiver import Answer, Received, Receiver

from benchyard.publish.destinations import Measured, Publication, Refused, TryLater
from benchyard.publish.outbox import Place
from benchyard.publish.registry import kind_of, where_of
from benchyard.results.files import read_file
from benchyard.store.rows import Noise, Result

Spin = Callable[..., Any]
MakeResult = Callable[..., Result]
MakePlace = Callable[..., Place]


@pytest.fixture
def measured(results_dir: Path, make_result: MakeResult) -> Callable[..., Measured]:
    """`measured(nbody=[...])`: a result with its file."""

    def make(**values: list[float]) -> Measured:
        row = make_result(values=values)
        return Measured(row, read_file(results_dir / str(row.path)))

    return make


def is_signed(received: Received, key: bytes) -> bool:
    """As the standard has it: HMAC-SHA256 of id, time and body, in base64, after `v1,`."""
    text = f"{received.headers['webhook-id']}.{received.headers['webhook-timestamp']}.".encode() + received.body
    digest = base64.b64encode(hmac.new(key, text, hashlib.sha256).digest()).decode()
    return f"v1,{digest}" in received.headers["webhook-signature"].split(" ")


def test_published(spin: Spin, receiver: Receiver, make_place: MakePlace, measured: Callable[..., Measured]) -> None:
    """A result is told with what it is of, its values, and how these compare with its base."""
    place, head, base = make_place(), measured(nbody=[0.1, 0.1], chaos=[2.0]), measured(nbody=[0.2, 0.2])
    noise = Noise("bench", 1, "nbody", 0.02, 9, 1.0, "second", 1.0)
    sent = Publication(head, "http://lab.example/#/1", base, {"nbody": noise}, key="7.1")
    receipt = spin(place.destination.publish(sent))
    assert receipt.words == "200 OK: thanks"
    (seen,) = receiver.seen
    assert (seen.method, seen.path, seen.headers["content-type"]) == ("POST", "/hook", "application/json")
    assert abs(int(seen.headers["webhook-timestamp"]) - time.time()) < 60
    message = json.loads(seen.body)
    assert message["type"] == "result.published"
    result = message["data"]["result"]
    row = head.result
    assert (result["id"], result["commit"], result["branch"], result["grade"]) == (row.id, row.commit, "main", "A")
    assert (result["url"], result["sha256"], result["remote"]) == ("http://lab.example/#/1", row.sha256, "upstream")
    assert message["data"]["benchmarks"] == {
        "chaos": {"mean": 2.0, "stdev": None, "n": 1, "unit": "second"},
        "nbody": {"mean": 0.1, "stdev": 0.0, "n": 2, "unit": "second"},
    }
    assert message["data"]["base"] == base.result.id
    (change,) = message["data"]["comparison"]["benchmarks"]
    assert (change["name"], change["ratio"], change["noise"]) == ("nbody", pytest.approx(2.0), 0.02)
    assert message["data"]["comparison"]["new"] == ["chaos"]


def test_more_differs_than_the_interpreter(
    spin: Spin, receiver: Receiver, make_place: MakePlace, results_dir: Path, make_result: MakeResult
) -> None:
    """Then it is told what, and there is no ratio of the whole."""
    rows = [
        make_result(values={"nbody": [1.0, 1.1]}),
        make_result(values={"nbody": [2.0, 2.1]}, suite_version="1.13.0"),
    ]
    base, head = (Measured(row, read_file(results_dir / str(row.path))) for row in rows)
    spin(make_place().destination.publish(Publication(head, "http://lab.example/#/1", base, key="7.1")))
    comparison = json.loads(receiver.seen[0].body)["data"]["comparison"]
    assert comparison["differences"] == ["suite version 1.14.0 against 1.13.0"]
    assert comparison["geometric_mean"] is None
    assert [change["counted"] for change in comparison["benchmarks"]] == [False]


def test_withdrawn(spin: Spin, receiver: Receiver, make_place: MakePlace, make_result: MakeResult) -> None:
    """That a result does not count any more is told without its values, also where its file is gone."""
    row = make_result()
    spin(make_place().destination.withdraw(Publication(Measured(row, b""), "http://lab.example/", key="7.2")))
    message = json.loads(receiver.seen[0].body)
    assert (message["type"], message["data"]["result"]["id"]) == ("result.withdrawn", row.id)
    assert "benchmarks" not in message["data"]


@pytest.mark.parametrize("secret", ["not base64 at all!", "whsec_" + base64.b64encode(bytes(range(32))).decode()])
def test_signed(
    spin: Spin,
    receiver: Receiver,
    make_place: MakePlace,
    measured: Callable[..., Measured],
    secrets_dir: Path,
    secret: str,
) -> None:
    """Each request is signed with the secret that there is when it is sent; who has not the secret cannot."""
    place = make_place()
    (secrets_dir / "publish-hook").write_text(secret + "\n")
    spin(place.destination.publish(Publication(measured(nbody=[1.0]), "http://lab.example/", key="7.1")))
    key = bytes(range(32)) if secret.startswith("whsec_") else secret.encode()
    (seen,) = receiver.seen
    assert is_signed(seen, key)
    assert not is_signed(seen, b"guessed")
    assert not is_signed(Received(seen.method, seen.path, seen.headers, seen.body + b" "), key)
    assert secret.encode() not in seen.body


def test_repetition_can_be_told(
    spin: Spin, receiver: Receiver, make_place: MakePlace, measured: Callable[..., Measured]
) -> None:
    """The same message sent again has the same id, another has another."""
    place, sent = make_place(), Publication(measured(nbody=[1.0]), "http://lab.example/", key="7.1")
    receiver.answers = [Answer(500, taken=True)]
    with pytest.raises(TryLater):
        spin(place.destination.publish(sent))
    spin(place.destination.publish(sent))
    spin(place.destination.publish(Publication(sent.head, sent.link, key="7.2")))
    assert [seen.headers["webhook-id"] for seen in receiver.taken] == ["msg_7.1", "msg_7.1", "msg_7.2"]


def test_without_its_secret(
    spin: Spin, receiver: Receiver, make_place: MakePlace, measured: Callable[..., Measured], secrets_dir: Path
) -> None:
    """Without a secret nothing is sent, and it waits for one; a secret that is none is told without being shown."""
    place, sent = make_place(), Publication(measured(nbody=[1.0]), "http://lab.example/", key="7.1")
    (secrets_dir / "publish-hook").unlink()
    with pytest.raises(TryLater, match=r"no secret publish-hook; give it one with `benchyard lab secret publish-hook"):
        spin(place.destination.publish(sent))
    (secrets_dir / "publish-hook").write_text("whsec_geheim!")
    with pytest.raises(TryLater, match=r"^the lab's secret publish-hook is not base64 after whsec_$"):
        spin(place.destination.publish(sent))
    assert receiver.seen == []


def test_refused(spin: Spin, receiver: Receiver, make_place: MakePlace, measured: Callable[..., Measured]) -> None:
    """An address that is gone, or does not believe us, has refused."""
    place, sent = make_place(), Publication(measured(nbody=[1.0]), "http://lab.example/", key="7.1")
    for status in (410, 401):
        receiver.answers = [Answer(status)]
        with pytest.raises(Refused, match=f"^{status} "):
            spin(place.destination.publish(sent))


def test_shown_without_its_path(make_place: MakePlace) -> None:
    """People are shown where a webhook is, but not its path: there are some with a secret in it."""
    settings = make_place().settings
    assert kind_of(settings) == "webhook"
    assert where_of(settings).startswith("http://127.0.0.1:")
    assert "/hook" not in where_of(settings)
