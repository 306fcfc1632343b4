"""Webhooks: an address of somebody's own that is told of each result, in signed JSON.

Requests are signed as Standard Webhooks has it (https://www.standardwebhooks.com, version 1.0.0): `webhook-id` is the
same for all repetitions of one message, so that who receives it twice can tell.
"""

import base64
import binascii
import hashlib
import hmac
import time
from typing import Any, Literal

import msgspec
from twisted.internet import threads

from benchyard.publish.destinations import Measured, Publication, Receipt, Site, TryLater
from benchyard.publish.http import Http, accepted
from benchyard.publish.secrets import read_secret, secret_name
from benchyard.publish.settings import Webhook
from benchyard.results.compare import Comparison, Summary, summarize
from benchyard.results.differences import compare_rows
from benchyard.results.errors import ResultError
from benchyard.results.reading import Suite, read_suite
from benchyard.store.rows import Noise, Result

#: Before a secret that is given in base64, as libraries that check signatures want it.
PREFIX = "whsec_"


class ResultWords(msgspec.Struct, frozen=True):
    """What is told of a result; `created` in epoch seconds, `url` is where the lab shows it."""

    id: int
    job: int | None
    url: str
    host: str
    target: str | None
    remote: str | None
    commit: str | None
    branch: str | None
    patch: str | None
    version: str | None
    flags: tuple[str, ...]
    suite: str | None
    suite_version: str | None
    mode: str | None
    grade: str | None
    grade_reasons: tuple[str, ...]
    epoch: int | None
    owner: str
    note: str
    created: float
    sha256: str | None


class Data(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a message is about; `benchmarks` and `comparison` are there for what was published."""

    result: ResultWords
    benchmarks: dict[str, Summary] = {}
    failed: tuple[str, ...] = ()
    base: int | None = None
    comparison: Comparison | None = None


class Message(msgspec.Struct, frozen=True):
    """The body of a request: what has happened when, in ISO 8601."""

    type: Literal["result.published", "result.withdrawn"]
    timestamp: str
    data: Data


class WebhookDestination:
    """Tells an address of results; what was told cannot be untold, but the other side is told of that, too."""

    can_withdraw = True

    def __init__(self, name: str, settings: Webhook, site: Site) -> None:
        self._name, self._settings, self._site = name, settings, site
        self._http = Http(timeout_s=settings.timeout_s, ca_file=settings.ca_file)

    def refusal(self, result: Result) -> str | None:
        """It takes all results."""
        return None

    def slot(self, result: Result) -> str:
        """Each result has a place of its own."""
        return f"result {result.id}"

    async def publish(self, publication: Publication) -> Receipt:
        """Tell of a result, with its values and what they are compared with."""
        data = await threads.deferToThread(published, publication)
        return await self._tell("result.published", data, publication)

    async def withdraw(self, publication: Publication) -> Receipt:
        """Tell that a result does not count any more."""
        return await self._tell("result.withdrawn", Data(_words(publication)), publication)

    async def close(self) -> None:
        """Let go of connections."""
        await self._http.close()

    async def _tell(
        self, kind: Literal["result.published", "result.withdrawn"], data: Data, publication: Publication
    ) -> Receipt:
        key = signing_key(read_secret(self._site.secrets_dir, self._name), self._name)
        now = int(time.time())
        stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now))
        body = msgspec.json.encode(Message(kind, stamp, data))
        headers = {"Content-Type": "application/json", **signed(key, f"msg_{publication.key}", now, body)}
        answer = await self._http.send("POST", self._settings.url, data=body, headers=headers)
        return Receipt(accepted(answer))


def make(name: str, settings: Webhook, site: Site) -> WebhookDestination:
    """The destination of a `[publish.NAME]` table of kind webhook."""
    return WebhookDestination(name, settings, site)


def signed(key: bytes, message_id: str, now: int, body: bytes) -> dict[str, str]:
    """The headers that say which message this is, when it is sent (epoch seconds), and that it is ours."""
    signature = hmac.new(key, f"{message_id}.{now}.".encode() + body, hashlib.sha256).digest()
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(now),
        "webhook-signature": f"v1,{base64.b64encode(signature).decode()}",
    }


def signing_key(secret: str, destination: str) -> bytes:
    """The key that a secret stands for: `whsec_` and base64, or else the text itself."""
    if not secret.startswith(PREFIX):
        return secret.encode()
    try:
        return base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except binascii.Error as exc:
        raise TryLater(f"the lab's secret {secret_name(destination)} is not base64 after {PREFIX}") from exc


def published(publication: Publication) -> Data:
    """What is told of a result that is published. Blocks for as long as reading the files takes."""
    head = read_suite(publication.head.data)
    comparison = None
    if publication.base is not None:
        comparison = _comparison(publication.base, publication.head.result, head, publication.noise)
    row = publication.head.result
    return Data(
        result=_words(publication),
        benchmarks={name: summarize(samples) for name, samples in sorted(head.benchmarks.items())},
        failed=tuple(benchmark["name"] for benchmark in row.failed),
        base=publication.base.result.id if publication.base is not None and comparison is not None else None,
        comparison=comparison,
    )


def _comparison(base: Measured, row: Result, head: Suite, noise: dict[str, Noise]) -> Comparison | None:
    try:
        return compare_rows((base.result, read_suite(base.data)), (row, head), noise=noise)
    except ResultError:
        return None  # a base without values: there is nothing to compare with


def _words(publication: Publication) -> ResultWords:
    row = publication.head.result
    interpreter = row.interpreter or {}
    shared = {name: getattr(row, name) for name in ResultWords.__struct_fields__ if hasattr(row, name)}
    told: dict[str, Any] = {"job": row.job_id, "url": publication.link}
    return ResultWords(**shared, **told, remote=interpreter.get("remote"), patch=interpreter.get("patch"))
