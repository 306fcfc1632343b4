"""Results over REST."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import msgspec
from twisted.internet import threads

from benchyard.access.roles import Role
from benchyard.publish import outbox
from benchyard.publish.outbox import Places
from benchyard.queueing.requests import Line
from benchyard.results import importing, intake, trash
from benchyard.results.attachments import list_attachments, read_attachment
from benchyard.results.errors import ResultError
from benchyard.results.files import read_file
from benchyard.results.patterns import END
from benchyard.store import filed, results, trashed
from benchyard.store.errors import StoreError
from benchyard.store.rows import RESULT_STATUSES, Result, Upload
from benchyard.web.calls import MAX_ID, Call, Nothing, Paged, Reply, Route, entity_tag
from benchyard.web.filters import Moment, Wanted, moment, split_words
from benchyard.web.jobs import page_of
from benchyard.web.problems import Problem
from benchyard.web.views import AttachmentView, Page, ResultView, attachment_view, result_view

Name = Annotated[str, msgspec.Meta(min_length=1, max_length=100, pattern=r"^[A-Za-z0-9_.+/-]+" + END)]
Commit = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{7,64}" + END)]
#: Headers of files that runs have left: these come from programs that people submit, under the lab's own address.
HARMLESS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; sandbox",
    "X-Content-Type-Options": "nosniff",
}

Id = Annotated[int, msgspec.Meta(ge=1, le=MAX_ID)]


class ResultFilter(Paged, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Which results: `commit` may be the beginning of one."""

    job: Id | None = None
    host: Wanted | None = None
    target: Wanted | None = None
    user: Wanted | None = None
    commit: Wanted | None = None
    branch: Wanted | None = None
    version: Wanted | None = None
    status: Wanted = ""
    since: Moment | None = None
    until: Moment | None = None


class NewResult(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A result that was measured elsewhere; its file is attached afterwards."""

    host: Name
    target: Name | None = None
    commit: Commit | None = None
    branch: Name | None = None


class ResultChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What is to be otherwise of a result's row; its file never changes."""

    commit: Commit | msgspec.UnsetType = msgspec.UNSET
    branch: Name | msgspec.UnsetType = msgspec.UNSET
    note: Line | msgspec.UnsetType = msgspec.UNSET


class Changed(NamedTuple):
    """A result that counts, or does not any more, and the uploads that were changed with it."""

    result: Result
    uploads: tuple[Upload, ...]


async def list_results(call: Call) -> Page[ResultView]:
    """A page of results, newest first."""
    query: ResultFilter = call.query
    rows = await call.jobs.db(
        results.list_results,
        job=query.job,
        host=query.host,
        target=query.target,
        owner=query.user,
        commit=query.commit,
        branch=query.branch,
        version=query.version,
        status=split_words(query.status, RESULT_STATUSES, "status"),
        since=moment(query.since, "since"),
        until=moment(query.until, "until"),
        before=query.cursor,
        limit=query.limit + 1,
    )
    return page_of([result_view(row, listed=True) for row in rows], query.limit)


async def get_result(call: Call, result_id: int) -> Reply:
    """One result's row."""
    return _reply(await _row(call, result_id))


async def add_result(call: Call) -> Reply:
    """A result that was measured elsewhere, without its file yet."""
    new: NewResult = call.body
    return _reply(
        await call.jobs.db(
            results.new_result,
            now=call.now(),
            who=call.caller.name,
            owner=call.caller.name,
            host=new.host,
            target=new.target,
            commit=new.commit,
            branch=new.branch,
        )
    )


async def modify_result(call: Call, result_id: int) -> Reply:
    """Correct a result's row."""
    fields = {name: value for name, value in msgspec.structs.asdict(call.body).items() if value is not msgspec.UNSET}
    row = await _own(call, result_id)
    fields["expected_changed"] = call.must_match("result", row.changed)
    return _reply(await call.jobs.db(results.modify_result, result_id, now=call.now(), who=call.caller.name, **fields))


async def remove_result(call: Call, result_id: int) -> Reply:
    """Put a result into the trash: its file goes to the trash folder and is kept there for some time."""
    row = await _own(call, result_id)
    removed = await _changed(call, _trash, result_id)
    if row.status == "stored" and row.path is not None and await call.jobs.db(filed.is_free, row.path):
        await threads.deferToThread(trash.throw_away, call.services.lab.results_dir, row.id, row.path, row.sha256)
    return _reply(removed)


async def enable_result(call: Call, result_id: int) -> Reply:
    """Let a disabled result count again, and publish it again where it was."""
    await _own(call, result_id)
    return _reply(await _changed(call, _enable, result_id, True))


async def disable_result(call: Call, result_id: int) -> Reply:
    """Leave a result out of comparisons, series and uploads, and take it back from where it was published."""
    await _own(call, result_id)
    return _reply(await _changed(call, _enable, result_id, False))


async def _changed(call: Call, change: Callable[..., Changed], *args: Any) -> Result:
    """Change whether a result counts, and with it what is published of it."""
    publisher = call.services.publisher
    changed = await call.jobs.db(change, publisher.places, *args, now=call.now(), who=call.caller.name)
    if changed.uploads:
        publisher.wake(changed.uploads)
    return changed.result


def _trash(conn: Any, places: Places, result_id: int, **how: Any) -> Changed:
    row = trashed.trash_result(conn, result_id, **how)
    return Changed(row, outbox.take_back(conn, places, row, **how))


def _enable(conn: Any, places: Places, result_id: int, enabled: bool, **how: Any) -> Changed:
    before = results.get_result(conn, result_id)
    row = results.enable_result(conn, result_id, enabled, **how)
    if row.enabled == before.enabled:
        return Changed(row, ())
    return Changed(row, (outbox.put_back if enabled else outbox.take_back)(conn, places, row, **how))


async def get_file(call: Call, result_id: int) -> Reply:
    """The stored file, byte for byte."""
    row = await _row(call, result_id)
    data = await threads.deferToThread(read_stored, call.services.lab.results_dir, row)
    return Reply(data, tag=f'"{row.sha256}"')


async def list_files(call: Call, result_id: int) -> Page[AttachmentView]:
    """The files that belong to a result besides its own, such as flame graphs."""
    row = await _row(call, result_id)
    found = await threads.deferToThread(list_attachments, *_place(call.services.lab.results_dir, row))
    return Page(tuple(attachment_view(attachment) for attachment in found))


async def get_attachment(call: Call, result_id: int, name: str) -> Reply:
    """One of these files, byte for byte; a browser shows it, and runs nothing that may be in it."""
    row = await _row(call, result_id)
    found = await threads.deferToThread(read_attachment, *_place(call.services.lab.results_dir, row), name)
    if found is None:
        raise Problem(404, f"result {result_id} has no attachment of this name")
    attachment, data = found
    return Reply(data, content_type=attachment.content_type, tag=f'"{attachment.sha256}"', headers=HARMLESS)


async def put_file(call: Call, result_id: int) -> Reply:
    """Attach a pyperf file, once: the same bytes again change nothing; others, and those of another, are a conflict."""
    row = await _own(call, result_id)
    if row.status != "stored":
        raise Problem(409, f"result {result_id} is {row.status}")
    content = await threads.deferToThread(importing.open_content, call.body)
    if row.sha256 is None:  # before anything is kept
        await call.jobs.db(filed.check_content, result_id, content.sha256)
    made: list[str] = []
    taken = await threads.deferToThread(
        intake.take_in,
        call.services.lab.results_dir,
        call.body,
        host=row.host or "unknown",
        commit=row.commit,
        branch=row.branch,
        now=call.now(),
        present=row.sha256,
        made=made.append,
    )
    try:
        row = await call.jobs.db(filed.attach_file, result_id, now=call.now(), who=call.caller.name, **taken)
    except StoreError:  # such as for another file that somebody has attached meanwhile
        await take_back(call, made)
        raise
    return _reply(row)


async def take_back(call: Call, made: Iterable[str]) -> None:
    """Remove what this very call has kept for a row that was refused, or it would become a result by itself."""
    for path in made:
        if await call.jobs.db(filed.is_free, path):
            await threads.deferToThread((call.services.lab.results_dir / path).unlink, missing_ok=True)


async def _row(call: Call, result_id: int) -> Result:
    row: Result = await call.jobs.db(results.get_result, result_id)
    return row


async def _own(call: Call, result_id: int) -> Result:
    row = await _row(call, result_id)
    call.must_own(row.owner, f"result {result_id}")
    call.must_match("result", row.changed)
    return row


def _reply(row: Result) -> Reply:
    return Reply(result_view(row), tag=entity_tag("result", row.changed))


def _place(root: Path, row: Result) -> tuple[Path, str]:
    """Where a result's file is: the folder, and the path below it."""
    if row.path is None:
        gone = "is gone for good, it was in the trash" if row.status == "trashed" else "is not there yet"
        raise Problem(404, f"the file of result {row.id} {gone}")
    return trash.folder_of(root, row.id, row.path) if row.status == "trashed" else root, row.path


def read_stored(root: Path, row: Result) -> bytes:
    """The bytes of a result's file; it blocks."""
    folder, path = _place(root, row)
    try:
        return read_file(folder / path)
    except FileNotFoundError as exc:
        raise Problem(404, f"the file of result {row.id} is gone from the results folder: {row.path}") from exc
    except ResultError as exc:
        raise Problem(500, f"the file of result {row.id} is damaged, bring it back from a backup: {row.path}") from exc


ROUTES = (
    Route("GET", "/results", Role.VIEWER, list_results, Page[ResultView], query=ResultFilter),
    Route("POST", "/results", Role.MEMBER, add_result, ResultView, body=NewResult, status=201),
    Route("GET", "/results/<int:result_id>", Role.VIEWER, get_result, ResultView),
    Route("PATCH", "/results/<int:result_id>", Role.MEMBER, modify_result, ResultView, body=ResultChange),
    Route("DELETE", "/results/<int:result_id>", Role.MEMBER, remove_result, ResultView),
    Route("POST", "/results/<int:result_id>/enable", Role.MEMBER, enable_result, ResultView, body=Nothing),
    Route("POST", "/results/<int:result_id>/disable", Role.MEMBER, disable_result, ResultView, body=Nothing),
    Route("GET", "/results/<int:result_id>/file", Role.VIEWER, get_file, dict[str, Any]),
    Route("GET", "/results/<int:result_id>/attachments", Role.VIEWER, list_files, Page[AttachmentView]),
    Route(
        "GET",
        "/results/<int:result_id>/attachments/<name>",
        Role.VIEWER,
        get_attachment,
        bytes,
        content_type="*/*",
    ),
    Route("PUT", "/results/<int:result_id>/file", Role.MEMBER, put_file, ResultView, raw=True),
)
