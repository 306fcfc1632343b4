"""What a sender needs of the datastore and of the results folder: the next thing to send, and all that goes with it."""

from pathlib import Path
from typing import Any, NamedTuple

from benchyard.publish.destinations import Measured, Publication, Refused, TryLater
from benchyard.publish.outbox import Place
from benchyard.results import trash
from benchyard.results.errors import ResultError
from benchyard.results.files import read_file
from benchyard.store import calibrations, jobs, results, senders, uploads
from benchyard.store.errors import NotFound
from benchyard.store.rows import PUBLISH, Job, Noise, Result, Upload

#: Seconds for which a lease is taken; it is renewed after a third of that.
LEASE_S = 60.0

#: Seconds between two looks whether the job that a result is compared with has ended, and how long that is waited for.
BASE_LOOK_S, BASE_WAIT_S = 300.0, 24 * 3600.0

#: Statuses of jobs that are on their way to a result.
_ON_ITS_WAY = frozenset({"queued", "building", "ready", "running", "storing"})


class Taken(NamedTuple):
    """What a look at the outbox has found: an upload to send, or the time at which to look again, if there is one."""

    upload: Upload | None
    look_at: float | None = None


class Material(NamedTuple):
    """The rows that a publication is made of."""

    head: Result
    head_job: Job | None
    base: Result | None
    base_job: Job | None
    noise: dict[str, Noise]


def take_next(conn: Any, destination: str, holder: str, *, now: float) -> Taken:
    """Take the lease of a destination and the upload to send next, and count the try; without one, give it back."""
    until = senders.take_lease(conn, destination, holder, now=now, until=now + LEASE_S)
    if until is not None:
        return Taken(None, until)
    while (upload := senders.next_due(conn, destination, now=now)) is not None:
        base = _awaited(conn, upload, now=now)
        if base is None:
            return Taken(senders.begin(conn, upload, now=now))
        words = f"waits for job {base}, which it is compared with"
        uploads.postpone(conn, upload, words=words, next_try=now + BASE_LOOK_S, now=now)
    senders.release_lease(conn, destination, holder)
    return Taken(None, senders.next_time(conn, destination, now=now))


def _awaited(conn: Any, upload: Upload, *, now: float) -> int | None:
    """The job that an upload's result is compared with, while it has none yet and that is worth waiting for."""
    if upload.action != PUBLISH or now - upload.asked > BASE_WAIT_S:
        return None
    job = _job(conn, results.get_result(conn, upload.result_id))
    if job is None or job.base_job is None:
        return None
    try:
        base = jobs.get_job(conn, job.base_job)
    except NotFound:
        return None
    return base.id if base.status in _ON_ITS_WAY else None


def material_of(conn: Any, upload: Upload) -> Material:
    """The rows of an upload's result, and of the one that it is compared with."""
    head = results.get_result(conn, upload.result_id)
    head_job = _job(conn, head)
    base = base_job = None
    if head_job is not None and head_job.base_job is not None:
        base = results.result_of_job(conn, head_job.base_job)
    if base is not None:
        base_job = _job(conn, base)
    return Material(head, head_job, base, base_job, calibrations.noise_of(conn, head.host, head.epoch))


def _job(conn: Any, result: Result) -> Job | None:
    try:
        return jobs.get_job(conn, result.job_id) if result.job_id is not None else None
    except NotFound:
        return None


def check_still_allowed(place: Place, upload: Upload, result: Result) -> None:
    """Refused if what was filed may not be sent any more: settings and results change."""
    if upload.action == PUBLISH:
        why = place.refusal(result)
        if why is not None:
            raise Refused(why)
    elif not place.destination.can_withdraw:
        raise Refused("nothing can be taken back from there; remove it there by hand")


def make_publication(root: Path, material: Material, upload: Upload, lab_url: str) -> Publication:
    """The publication of an upload, with its files. Blocks. Refused where the result's own file is gone."""
    head = material.head
    try:
        data = _read(root, head)
    except FileNotFoundError:
        if upload.action == PUBLISH:
            raise Refused(f"the file of result {head.id} is gone from the results folder: {head.path}") from None
        data = b""
    except OSError as exc:
        raise TryLater(f"the file of result {head.id} cannot be read: {exc.strerror}") from exc
    except ResultError as exc:
        raise Refused(f"the file of result {head.id} is damaged: {head.path}") from exc
    base = None
    if material.base is not None:
        try:
            base = Measured(material.base, _read(root, material.base), material.base_job)
        except (OSError, ResultError):
            base = None  # a comparison is more than was asked for
    return Publication(
        head=Measured(head, data, material.head_job),
        link=link_of(head, material.head_job, lab_url),
        base=base,
        noise=material.noise,
        key=upload.key,
    )


def _read(root: Path, row: Result) -> bytes:
    if row.path is None:
        raise FileNotFoundError
    folder = trash.folder_of(root, row.id, row.path) if row.status == "trashed" else root
    return read_file(folder / row.path)


def link_of(result: Result, job: Job | None, lab_url: str) -> str:
    """Where the lab shows a result: the page of its job, or what REST says of it."""
    if job is not None and job.request_id is not None:
        return f"{lab_url}#/buildrequests/{job.request_id}"
    return f"{lab_url}plugins/benchyard/api/v1/results/{result.id}"


def note_sent(conn: Any, upload: Upload, *, words: str, link: str | None, now: float) -> Upload:
    """Keep that an upload was sent, and what the destination said."""
    senders.note_words(conn, upload.destination, words=words, now=now)
    return uploads.note_sent(conn, upload, words=words, link=link, now=now)


def note_refused(conn: Any, upload: Upload, *, words: str, now: float) -> Upload:
    """Keep that an upload was refused."""
    senders.note_words(conn, upload.destination, words=words, now=now)
    return uploads.note_refused(conn, upload, words=words, now=now)


def note_trouble(conn: Any, upload: Upload, *, words: str, delay_s: float, now: float) -> Upload:
    """Keep that an upload could not be sent, and when it is tried again."""
    senders.note_words(conn, upload.destination, words=words, now=now)
    return uploads.note_trouble(conn, upload, words=words, delay_s=delay_s, now=now)
