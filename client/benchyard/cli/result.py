"""`benchyard result`: list, add, read, change, compare and publish results."""

import sys
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from benchyard.cli import (
    complete,
    resultcompare,
    resultedit,
    resultplot,
    resultregressions,
    resultseries,
    resulttransfer,
    resultupload,
)
from benchyard.cli.format import local_time
from benchyard.cli.listing import Field, Listing, list_options, since_option, until_option
from benchyard.cli.options import (
    connect,
    find_result,
    host_option,
    job_number,
    job_option,
    lab_options,
    result_argument,
    target_option,
)

if TYPE_CHECKING:
    from benchyard.client import BenchmarkResult, Upload
    from benchyard.client.measured import Interpreter


@click.group("result")
def results() -> None:
    """List, add, read, change, compare and publish results. A RESULT is named by its number or `last`."""


for command in (
    *resultedit.COMMANDS,
    *resulttransfer.COMMANDS,
    *resultupload.COMMANDS,
    resultcompare.compare_results,
    resultseries.show_series,
    resultplot.plot,
    resultregressions.list_regressions,
    resultregressions.show_regression,
):
    results.add_command(command)


@results.command("list")
@job_option("Results of this job.")
@host_option("Results of this host.")
@target_option("Results of this target.")
@click.option("--user", metavar="USER", shell_complete=complete.users, help="Results of this user.")
@click.option("--commit", metavar="COMMIT", help="Results of this commit; its beginning will do.")
@click.option("--branch", metavar="BRANCH", help="Results of this branch.")
@click.option("--version", metavar="VERSION", help="Results of this version of Python.")
@click.option("--status", type=click.Choice(["stored", "trashed"]), help="Results of this status.")
@since_option
@until_option
@list_options
def list_results(
    job: str | int | None,
    host: str | None,
    target: str | None,
    user: str | None,
    commit: str | None,
    branch: str | None,
    version: str | None,
    status: str | None,
    since: datetime | None,
    until: datetime | None,
    how: Listing,
) -> None:
    """List results, newest first.

    Example: benchyard result list --host quiet-1 --since 2026-11-01 --columns result,version,commit
    """
    with how.connect() as client:
        pages = client.results.list(
            job=None if job is None else job_number(client, job),
            host=host,
            target=target,
            user=user,
            commit=commit,
            branch=branch,
            version=version,
            status=status,
            since=since,
            until=until,
            limit=how.limit,
            cursor=how.cursor,
        )
        how.show(pages, FIELDS, empty="no results")


@results.command("get")
@result_argument()
@click.option("--benchmarks", is_flag=True, help="What each benchmark gave as well.")
@lab_options
def get_result(result: str | int, benchmarks: bool, url: str | None, as_json: bool) -> None:
    """Show a result.

    Example: benchyard result get last --benchmarks
    """
    from benchyard.cli.output import print_fields, print_json
    from benchyard.cli.resultbenchmarks import print_measurements

    with connect(url) as client:
        found = find_result(client, result)
        measurements = found.measurements() if benchmarks else ()
        attached = found.attachments() if found.path and not as_json else ()
        published = [] if as_json else list(client.uploads.list(result=found.id))
    if as_json:
        told = {"measurements": [each.document for each in measurements]} if benchmarks else {}
        print_json(found.document | told)
        return
    interpreter = found.interpreter
    print_fields(
        (
            ("result", found.id),
            ("status", _status(found)),
            ("job", f"{found.job}, attempt {found.attempt}" if found.job else None),
            ("owner", found.owner),
            ("host", found.host),
            ("target", found.target),
            ("version", found.version),
            ("commit", found.commit),
            ("branch", found.branch),
            ("flags", ", ".join(found.flags)),
            *(_origin(interpreter) if interpreter else ()),
            ("suite", f"{found.suite or ''} {found.suite_version or ''}".strip()),
            ("mode", found.mode),
            ("kind", found.kind if found.kind != "benchmarks" else None),
            ("grade", found.grade),
            *(("", reason) for reason in found.grade_reasons),
            *_conditions(found),
            ("note", found.note),
            ("benchmarks", _benchmarks(found)),
            *((f"failed {failed.name}", failed.error) for failed in found.failed),
            ("created", local_time(found.created)),
            ("file", found.path or f"none yet; attach it with `benchyard result write {found.id} FILE`"),
            ("gone since", local_time(found.missing) if found.missing else None),
            ("size", f"{found.size} bytes" if found.size is not None else None),
            ("sha256", found.sha256),
            *((f"published {upload.destination}", _published(upload)) for upload in published),
            *((f"attached {number}", f"{file.name}, {file.size} bytes") for number, file in enumerate(attached, 1)),
        )
    )
    if benchmarks:
        click.echo()
        print_measurements(measurements)


@results.command("read")
@result_argument()
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Write to this file instead of stdout.",
)
@click.option("--attachment", metavar="NAME", help="Write this file of the result instead, as `result get` names it.")
@lab_options
def read_result(result: str | int, output: Path | None, attachment: str | None, url: str | None, as_json: bool) -> None:
    """Write the pyperf JSON file of a result, byte for byte (--json changes nothing: it is JSON).

    Example: benchyard result read last --output main.json
    """
    with connect(url) as client:
        found = find_result(client, result)
        data = found.read() if attachment is None else found.attachment(attachment)
    if output is None:
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
        return
    try:
        output.write_bytes(data)
    except OSError as exc:
        raise click.ClickException(f"{output} cannot be written: {exc.strerror}") from exc


def _published(upload: "Upload") -> str:
    """What came of an upload, in a few words."""
    state = upload.state if upload.action == "publish" else f"withdraw {upload.state}"
    return ": ".join(part for part in (state, upload.address or upload.words) if part)


def _benchmarks(result: "BenchmarkResult") -> str:
    return str(result.benchmarks) + (f" ({len(result.failed)} failed)" if result.failed else "")


def _conditions(result: "BenchmarkResult") -> list[tuple[str, str]]:
    """What a result was measured on, as far as that is known."""
    found = [("epoch", f"{result.epoch} of {result.host}")] if result.epoch else []
    if result.fingerprint is None:
        found += [("fingerprint", result.fingerprint_id)] if result.fingerprint_id else []
        return found
    host = result.fingerprint.host
    set_to = {"governor": host.governor, "boost": host.boost, "SMT": host.smt}
    said = {
        "CPU": host.cpu,
        "microcode": host.microcode,
        "kernel": host.kernel,
        "set to": ", ".join(f"{name} {value}" for name, value in set_to.items() if value),
        "isolation": host.isolation,
    }
    return [*found, *((name, value) for name, value in said.items() if value)]


def _origin(interpreter: "Interpreter") -> tuple[tuple[str, Any], ...]:
    """What a Python was made from, and with."""
    return (
        ("remote", interpreter.remote),
        ("ref", interpreter.ref),
        ("merge base", interpreter.merge_base),
        ("patch", interpreter.patch),
        ("python", interpreter.executable),
        ("configured", interpreter.configure_args),
        ("compiler", (interpreter.toolchain or {}).get("cc_version") or interpreter.compiler),
        ("libc", interpreter.libc),
    )


def _status(result: "BenchmarkResult") -> str:
    return result.status if result.enabled else f"{result.status}, disabled"


FIELDS: "tuple[Field[BenchmarkResult], ...]" = (
    Field("result", lambda result: str(result.id), right=True),
    Field("job", lambda result: str(result.job or ""), right=True, rank=1),
    Field("host", lambda result: result.host, flexible=True),
    Field("target", lambda result: result.target, rank=5),
    Field("version", lambda result: result.version),
    Field("commit", lambda result: (result.commit or "")[:10]),
    Field("flags", lambda result: ",".join(result.flags), flexible=True, rank=3),
    Field("mode", lambda result: result.mode, rank=4),
    Field("benchmarks", _benchmarks, right=True, rank=2),
    Field("grade", lambda result: result.grade),
    Field("created", lambda result: local_time(result.created)),
    Field("kind", lambda result: result.kind, extra=True),
    Field("epoch", lambda result: str(result.epoch or ""), right=True, extra=True),
    Field("status", _status, extra=True),
    Field("owner", lambda result: result.owner, extra=True),
    Field("branch", lambda result: result.branch, extra=True),
    Field("note", lambda result: result.note, flexible=True, extra=True),
    Field("suite", lambda result: f"{result.suite or ''} {result.suite_version or ''}".strip(), extra=True),
    Field("path", lambda result: result.path, flexible=True, extra=True, tail=True),
    Field("size", lambda result: str(result.size or ""), right=True, extra=True),
    Field("changed", lambda result: local_time(result.changed), extra=True),
    Field("by", lambda result: result.changed_by, extra=True),
)
