"""From the outbox of real masters to a real codespeed, with trouble in between."""

import threading
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import codespeed
import pytest
from meddling import Deed, meddling
from publishing import Publisher

from benchyard.publish.destinations import Measured, Publication
from benchyard.results.files import read_file
from benchyard.store import uploads
from benchyard.store.rows import Result, Upload

Spin = Callable[..., Any]
Settle = Callable[..., Awaitable[Any]]
MakeFile = Callable[..., bytes]
Arrived = Callable[[codespeed.Server, Publication], None]


@pytest.fixture
def server() -> Iterator[codespeed.Server]:
    """A codespeed of the test's own."""
    with codespeed.running() as server:
        yield server


@pytest.fixture
def publisher(spin: Spin, tmp_path: Path) -> Iterator[Callable[..., Publisher]]:
    """`publisher(url, name, **settings)`: a running master of the one lab, with a destination `speed`."""
    running: list[Publisher] = []

    def start(url: str, name: str = "master", **settings: Any) -> Publisher:
        made = Publisher(tmp_path / name, tmp_path / "lab", {"speed": {"url": url, **settings}})
        spin(made.start())
        running.append(made)
        return made

    def stop(made: Publisher) -> None:
        running.remove(made)
        spin(made.stop())

    start.stop = stop  # type: ignore[attr-defined]
    yield start
    for made in list(running):
        stop(made)


async def ask(publisher: Publisher, result: Result) -> Upload:
    """Ask for a result to be published."""
    filed: tuple[Upload, ...] = await publisher.service.ask(result.id, ["speed"], again=False, who="anna")
    return filed[0]


async def ended(publisher: Publisher, upload: Upload) -> Upload:
    """The upload once it is pending no more."""
    found: Upload = await publisher.service.wait_for(upload.id, limit_s=60)
    return found


def publication(publisher: Publisher, result: Result) -> Publication:
    assert result.path is not None
    return Publication(head=Measured(result, read_file(publisher.lab / "results" / result.path)), link="")


def commits(count: int) -> list[str]:
    return [f"{number:040x}" for number in range(1, count + 1)]


def test_two_masters_send_once(
    server: codespeed.Server, publisher: Callable[..., Publisher], spin: Spin, make_file: MakeFile, arrived: Arrived
) -> None:
    """Two masters of one lab that have the same to send send each result once, and all are there."""
    masters = [publisher(server.url, name) for name in ("first", "second")]

    async def work() -> list[Result]:
        results = []
        for number, commit in enumerate(commits(12)):
            results.append(await masters[0].add(make_file({"nbody": (number + 0.5, number + 0.75)}), commit))
        asked = [await ask(masters[number % 2], result) for number, result in enumerate(results)]
        for number, upload in enumerate(asked):
            assert (await ended(masters[number % 2], upload)).state == "sent"
        return results

    results = spin(work())
    assert server.posts() == 12
    for result in results:
        arrived(server, publication(masters[0], result))


def test_stopped_while_sending(
    server: codespeed.Server,
    publisher: Callable[..., Publisher],
    spin: Spin,
    settle: Settle,
    make_file: MakeFile,
    arrived: Arrived,
) -> None:
    """A master that stops after codespeed has saved a result, and before it knows, sends it again at its next start."""
    saved, stopped = threading.Event(), threading.Event()

    def hold() -> None:
        saved.set()
        stopped.wait(30)

    with meddling(server.port) as meddler:
        meddler.deeds.append(Deed(meanwhile=hold))
        master = publisher(meddler.url)

        async def begin() -> tuple[Result, Upload]:
            result = await master.add(make_file({"nbody": (0.5, 0.75)}), *commits(1))
            upload = await ask(master, result)
            await settle(saved.is_set, "codespeed has saved it")
            return result, upload

        result, upload = spin(begin())
        publisher.stop(master)  # type: ignore[attr-defined]
        stopped.set()
        master = publisher(meddler.url)
        assert spin(ended(master, upload)).state == "sent"
        assert meddler.answered == [202, 202]
    arrived(server, publication(master, result))


def test_refused_and_mended(
    server: codespeed.Server, publisher: Callable[..., Publisher], spin: Spin, make_file: MakeFile, arrived: Arrived
) -> None:
    """A host that codespeed does not know is refused with its words; with other settings, asked again, it is there."""

    async def work(master: Publisher) -> tuple[Result, Upload]:
        result = await master.add(make_file({"nbody": (0.5,)}), commits(1)[0], host="elsewhere")
        return result, await ended(master, await ask(master, result))

    master = publisher(server.url)
    result, upload = spin(work(master))
    assert upload.state == "refused"
    assert "Environment elsewhere not found; make that environment" in upload.words
    publisher.stop(master)  # type: ignore[attr-defined]

    async def again(master: Publisher) -> Upload:
        (asked,) = await master.service.retry(None, owner=None, who="anna")
        return await ended(master, asked)

    master = publisher(server.url, environments={"elsewhere": "bench1"})
    assert spin(again(master)).state == "sent"
    arrived(server, publication(master, result))


def test_later_result_has_the_place(
    server: codespeed.Server, publisher: Callable[..., Publisher], spin: Spin, make_file: MakeFile, arrived: Arrived
) -> None:
    """Of two results for one place the later one is there at the end, also where the first met trouble."""
    with meddling(server.port) as meddler:
        meddler.deeds.append(Deed(answer="none"))
        master = publisher(meddler.url)

        async def work() -> list[Result]:
            results = [await master.add(make_file({"nbody": (value,)}), *commits(1)) for value in (0.5, 0.75)]
            asked = [await ask(master, result) for result in results]
            for upload in asked:
                assert (await ended(master, upload)).state == "sent"
            return results

        results = spin(work())
    arrived(server, publication(master, results[-1]))


def test_what_is_outstanding(
    server: codespeed.Server, publisher: Callable[..., Publisher], spin: Spin, settle: Settle, make_file: MakeFile
) -> None:
    """While codespeed is down, what is outstanding says why; when it is back, asking again sends it at once."""
    server.stop()
    master = publisher(server.url)

    async def outstanding() -> list[Upload]:
        found: list[Upload] = list(await master.service.db(uploads.list_uploads, state=("pending",)))
        return found

    async def tried() -> bool:
        return all(upload.words for upload in await outstanding())

    async def begin() -> list[Result]:
        values = (0.25, 0.5, 0.75)
        files = [make_file({"nbody": (value,)}) for value in values]
        results = [await master.add(file, commit) for file, commit in zip(files, commits(3), strict=True)]
        for result in results:
            await ask(master, result)
        await settle(tried, "each was tried")
        assert len(await outstanding()) == 3
        return results

    async def again(results: list[Result]) -> None:
        for result in results:
            (upload,) = await master.service.ask(result.id, ["speed"], again=True, who="anna")
            assert (await ended(master, upload)).state == "sent"
        assert await outstanding() == []

    results = spin(begin())
    server.start()
    spin(again(results))
    assert len(server.results()) == 3
