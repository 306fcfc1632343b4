"""The publishing service inside a real master with the lab's own configuration."""

import json
import shutil
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from receiver import Answer, Receiver

from benchyard.publish.service import CHANGED, find_publisher
from benchyard.store import jobs, results, senders, uploads
from benchyard.store.errors import Conflict

Spin = Callable[..., Any]
Settle = Callable[..., Awaitable[Any]]
Start = Callable[..., Any]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A lab's folder with one target and no hosts."""
    folder = tmp_path / "lab"
    for name in ("secrets", "results"):
        (folder / name).mkdir(parents=True)
    return folder


@pytest.fixture
def config(folder: Path, receiver: Receiver) -> Callable[..., dict[str, Any]]:
    """`config("hook", other="automatic = false")`: the lab's configuration with these webhooks."""
    from benchyard.config.master import master_config
    from benchyard.config.settings import load_settings

    def make(*names: str, **settings: str) -> dict[str, Any]:
        tables = {**dict.fromkeys(names, ""), **settings}
        text = "[targets.linux-x86_64]\n"
        for name, more in tables.items():
            (folder / "secrets" / f"publish-{name}").write_text("geheim\n")
            text += f'[publish.{name}]\nkind = "webhook"\nurl = "{receiver.url}/{name}"\n{more}\n'
        (folder / "benchyard.toml").write_text(text)
        free_port = {"pb": {"port": "tcp:0:interface=127.0.0.1"}}
        return {**master_config(load_settings(folder)), "protocols": free_port}

    return make


@pytest.fixture
def add_result(folder: Path, pyperf_file: Callable[..., bytes]) -> Callable[..., Awaitable[Any]]:
    """`await add_result(master)`: a measured result."""

    async def add(master: Any) -> Any:
        (folder / "results" / "x.json").write_bytes(pyperf_file())
        return await publisher(master).db(make_result)

    return add


def make_result(conn: Any) -> Any:
    how: dict[str, Any] = {"kind": "benchmarks", "target": "linux-x86_64", "host": None, "spec": {}, "owner": "ada"}
    job = jobs.create_job(conn, now=1.0, who="ada", origin="rest", reason="", status="success", **how)
    return results.add_result(
        conn,
        now=2.0,
        who="lab",
        job_id=job.id,
        attempt=1,
        host="quiet",
        target=job.target,
        interpreter={"id": "ab" * 32},
        commit=None,
        branch=None,
        version="3.15.0",
        flags=(),
        suite="pyperformance",
        suite_version="1.14.0",
        mode="fast",
        path="x.json",
        sha256="ab",
        size=10,
        benchmarks=1,
        grade="B",
    )


def publisher(master: Any) -> Any:
    found = find_publisher(master)
    assert found is not None
    return found


def all_sent(master: Any, count: int) -> Callable[[], Awaitable[bool]]:
    async def condition() -> bool:
        found = await publisher(master).db(uploads.list_uploads)
        return [upload.state for upload in found] == ["sent"] * count

    return condition


def test_filed_and_sent(
    start_master: Start,
    spin: Spin,
    settle: Settle,
    config: Callable[..., Any],
    add_result: Callable[..., Any],
    receiver: Receiver,
) -> None:
    """A new result is sent wherever it goes by itself, and to others when somebody asks; whoever listens is told."""
    master = start_master(config("hook", asked="automatic = false"))
    told: list[Any] = []

    async def work() -> None:
        service = publisher(master)
        await master.mq.startConsuming(lambda key, message: told.append((key[-1], message)), (*CHANGED, None, None))
        result = await add_result(master)
        (filed,) = await service.file_new(result, wanted=False)
        sent = await service.wait_for(filed.id, limit_s=20.0)
        assert (sent.state, sent.words, sent.destination) == ("sent", "200 OK: thanks", "hook")
        assert len(await service.ask(result.id, [], again=False, who="ada")) == 2
        await settle(all_sent(master, 2), "both are sent")

    spin(work())
    assert [seen.path for seen in receiver.taken] == ["/hook", "/asked"]
    assert [(state, message["destination"]) for state, message in told] == [("sent", "hook"), ("sent", "asked")]
    assert "geheim" not in json.dumps([message for _, message in told])


def test_refused_by_policy(
    start_master: Start, spin: Spin, config: Callable[..., Any], add_result: Callable[..., Any], receiver: Receiver
) -> None:
    """What the settings forbid is filed by nobody, people included."""
    master = start_master(config(hook='grades = ["A"]'))

    async def work() -> None:
        result = await add_result(master)
        assert await publisher(master).file_new(result, wanted=True) == ()
        with pytest.raises(Conflict, match="has the grade B; published there are: A"):
            await publisher(master).ask(result.id, ["hook"], again=True, who="ada")

    spin(work())
    assert receiver.seen == []


def test_pending_goes_on_after_a_restart(
    start_master: Start,
    stop_master: Callable[[Any], None],
    spin: Spin,
    settle: Settle,
    config: Callable[..., Any],
    add_result: Callable[..., Any],
    receiver: Receiver,
) -> None:
    """What is pending when a master stops is sent by the next one, and the stopped one keeps no lease."""
    receiver.down()
    master = start_master(config("hook"))

    async def file() -> None:
        (filed,) = await publisher(master).file_new(await add_result(master), wanted=False)

        async def tried() -> bool:
            upload = await publisher(master).db(uploads.get_upload, filed.id)
            return bool(upload.words == "connection refused")

        await settle(tried, "it was tried")
        await publisher(master).ask(filed.result_id, [], again=True, who="ada")  # else it waits for some seconds

    spin(file())
    stop_master(master)
    receiver.up()
    master = start_master(config("hook"))

    async def wait() -> None:
        await settle(all_sent(master, 1), "it is sent", 40.0)
        assert [one.holder for one in await publisher(master).db(senders.list_senders)] == [""]

    spin(wait())
    assert len(receiver.taken) == 1


def test_settings_change_live(
    start_master: Start,
    spin: Spin,
    settle: Settle,
    config: Callable[..., Any],
    add_result: Callable[..., Any],
    receiver: Receiver,
) -> None:
    """Destinations come, change and go with the settings; one that stays the same is not touched."""
    master = start_master(config("hook", other=""))

    async def work() -> None:
        service = publisher(master)
        before = dict(service.places)
        await reconfigure(master, config("hook", "third", other='grades = ["A"]'))
        assert list(service.places) == ["hook", "other", "third"] or set(service.places) == {"hook", "other", "third"}
        assert service.places["hook"] is before["hook"]
        assert service.places["other"] is not before["other"]
        filed = await service.file_new(await add_result(master), wanted=False)
        assert {upload.destination for upload in filed} == {"hook", "third"}
        await settle(all_sent(master, 2), "both are sent")
        await reconfigure(master, config("hook"))
        assert set(service.places) == {"hook"}

    spin(work())


async def reconfigure(master: Any, made: dict[str, Any]) -> None:
    """As Buildbot does it: the running service gets what a new one was made with."""
    sibling = next(one for one in made["services"] if one.name == "benchyard-publish")
    await publisher(master).reconfigServiceWithSibling(sibling)


def test_stops_while_a_server_says_nothing(
    start_master: Start,
    stop_master: Callable[[Any], None],
    spin: Spin,
    settle: Settle,
    config: Callable[..., Any],
    add_result: Callable[..., Any],
    receiver: Receiver,
) -> None:
    """A master stops at once, whatever a destination is at."""
    import threading

    receiver.otherwise = Answer(hold=threading.Event())
    master = start_master(config(hook="timeout_s = 3000"))

    async def file() -> None:
        await publisher(master).file_new(await add_result(master), wanted=False)
        await settle(lambda: receiver.seen, "the request has arrived")

    spin(file())
    stop_master(master)


def test_destination_that_cannot_be_made(
    start_master: Start, config: Callable[..., Any], folder: Path, logged_errors: list[str]
) -> None:
    """One that cannot be made is told in the log; the master starts, and the others work."""
    made = config("hook", "broken")
    (folder / "publish").mkdir(exist_ok=True)
    shutil.rmtree(folder / "publish" / "broken", ignore_errors=True)
    (folder / "publish" / "broken").write_text("in the way")
    master = start_master(made)
    assert set(publisher(master).places) == {"hook"}
    assert len(logged_errors) == 1 and "destination broken cannot be made" in logged_errors[0]
    logged_errors.clear()
