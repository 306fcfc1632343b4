"""Import over REST: files of other tools, one a request; the same file again changes nothing."""

import time
from typing import Annotated, Any, Literal

import msgspec
from twisted.internet import threads

from benchyard.access.roles import Role
from benchyard.results import importing
from benchyard.results.files import store_file
from benchyard.results.importing import Content, Foreign
from benchyard.results.layout import plain_path
from benchyard.store import filed
from benchyard.store.rows import Result
from benchyard.web.calls import Call, Route
from benchyard.web.problems import Problem
from benchyard.web.results import Name, take_back
from benchyard.web.views import ResultView, result_view


class ImportQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How the file is named, with the folders that it is in; the host, where the file does not tell the right one.

    A file of a host that this lab has is only taken for that host's with `own_hosts`, or if the host is named. With
    `dry_run` nothing is kept.
    """

    name: Annotated[str, msgspec.Meta(min_length=1, max_length=1000)]
    host: Name | None = None
    own_hosts: bool = False
    dry_run: bool = False


class Imported(msgspec.Struct, frozen=True):
    """What became of a file: `imported` as a result, `known` already as one, or `new` in a dry run.

    `restored` is that of a result whose own was gone from the lab's disk: it is there again, and the result counts.
    """

    outcome: Literal["imported", "known", "new", "restored"]
    host: str
    result: ResultView | None = None


async def import_result(call: Call) -> Imported:
    """Take in a file that pyperf, pyperformance, bench_runner or PORTAL has made; it may be packed by gzip."""
    query: ImportQuery = call.query
    content: Content = await threads.deferToThread(importing.open_content, call.body)
    known = await call.jobs.db(filed.result_of_content, content.sha256)
    if known is not None:
        return await _known(call, known, content)
    foreign: Foreign = await threads.deferToThread(
        importing.examine, content, query.name, host=query.host, hosts=tuple(call.services.lab.hosts), now=time.time()
    )
    host = str(foreign.columns["host"])
    if host in call.services.lab.hosts and query.host is None and not query.own_hosts:
        raise Problem(409, f"it says that it is of host {host}, and this lab has one: confirm that, or name another")
    if query.dry_run:
        return Imported("new", host)
    made: list[str] = []
    columns: dict[str, Any] = await threads.deferToThread(
        importing.keep, call.services.lab.results_dir, content, foreign, made=made.append
    )
    who = call.caller.name
    row, added = await call.jobs.db(filed.take_result, now=call.now(), who=who, owner=who, **columns)
    if not added:  # the same file under another name, at the same time
        await take_back(call, made)
    return Imported("imported" if added else "known", row.host, result_view(row))


async def _known(call: Call, known: Result, content: Content) -> Imported:
    """A file that the lab has; or had, and then it is put where it was."""
    root = call.services.lab.results_dir
    if known.path is None or await threads.deferToThread((root / known.path).is_file):
        return Imported("known", known.host, result_view(known))
    if call.query.dry_run:
        return Imported("new", known.host, result_view(known))
    place = plain_path(known.path)
    stored = await threads.deferToThread(store_file, root, place, content.data, sha256=content.sha256)
    who = {"now": call.now(), "who": call.caller.name}
    row = await call.jobs.db(filed.note_restored, known.id, path=stored.path, **who)
    return Imported("restored", row.host, result_view(row))


ROUTES = (Route("PUT", "/results/import", Role.MEMBER, import_result, Imported, query=ImportQuery, raw=True),)
"""Before the routes of single results, whose numbers are no words."""
