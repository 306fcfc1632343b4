"""Buildbot's reporters as ways to tell notices, and what we lean on inside them, in one place.

Stock reporters listen to Buildbot's events, and log an error where a message could not be sent. We must know: so a
reporter of ours listens to nothing, is handed one notice at a time, and what its `sendMessage` raises is looked at.
`tests/publish/notices/test_reporting.py` is the contract: which arguments there are, what of a report is used, and that
errors come out of `sendMessage`. Buildbot is held to `>=4.3,<4.4` for it.
"""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from buildbot.interfaces import IReportGenerator
from buildbot.process.results import FAILURE, SUCCESS
from buildbot.util import ComparableMixin
from buildbot.util.twisted import async_to_deferred
from twisted.internet import defer
from zope.interface import implementer

from benchyard.publish.destinations import Refused, TryLater
from benchyard.publish.http import PASSING, one_line
from benchyard.store.rows import Notice

#: Reporters in Buildbot's own hands by these names.
SERVICE = "benchyard-notify-{name}"

#: Characters that push services take of a message.
SHORT = 1000

#: Forms of a report's body: the text, its beginning, or the notice as an object.
TEXT, BEGINNING, OBJECT = "text", "beginning", "object"


@implementer(IReportGenerator)
class NoticeGenerator(ComparableMixin):
    """Makes reports of notices. No event of Buildbot's is one: the notice is handed to it, by who has seen to it."""

    compare_attrs: ClassVar[Sequence[str]] = ("form",)
    wanted_event_keys: ClassVar[Sequence[Any]] = ()

    def __init__(self, form: str = TEXT) -> None:
        self.form = form

    def check(self) -> None:
        """Nothing can be wrong with it."""

    def generate_name(self) -> str:
        """What tells it from other generators."""
        return f"{type(self).__name__}_{self.form}"

    @async_to_deferred
    async def generate(self, _master: Any, _reporter: Any, _key: Any, message: Mapping[str, Any]) -> dict[str, Any]:
        """The report of a notice, with what Buildbot's reporters look for; `message` has it and who is to get it."""
        notice: Notice = message["notice"]
        good = notice.kind == "job_done" and notice.data.get("status") == "success"
        nothing = dict.fromkeys(("builds", "buildset", "patches", "logs", "worker", "extra_info"))
        return {
            **nothing,
            "subject": notice.subject,
            "body": self._body(notice),
            "type": "plain",
            "results": SUCCESS if good else FAILURE,
            "users": list(message["users"]),
        }

    def _body(self, notice: Notice) -> Any:
        match self.form:
            case "object":
                return as_object(notice)
            case "beginning":
                return beginning(notice.body)
        return notice.body


def as_object(notice: Notice) -> dict[str, Any]:
    """A notice for programs; `text` has it all in one, where chat servers look for what they show."""
    return {
        "id": notice.id,
        "key": notice.key,
        "kind": notice.kind,
        "time": notice.time,
        "target": notice.target,
        "subject": notice.subject,
        "body": notice.body,
        "users": list(notice.users),
        "data": notice.data,
        "text": f"{notice.subject}\n\n{notice.body}",
    }


def beginning(text: str) -> str:
    """As many whole lines of a text as push services take."""
    if len(text) <= SHORT:
        return text
    return text[: SHORT - 4].rpartition("\n")[0] + "\n..."


@async_to_deferred
async def send(reporter: Any, notice: Notice, users: Sequence[str], *, timeout_s: float) -> None:
    """Tell a notice by a reporter; Refused or TryLater, in one line without secrets, where it was not taken."""
    session = getattr(reporter, "_http", None)
    if session is not None and not isinstance(session, KnownAnswers):
        reporter._http = KnownAnswers(session, timeout_s)
    reports = []
    for generator in reporter.generators:
        message = {"notice": notice, "users": users}
        reports.append(await generator.generate(reporter.master, reporter, ("benchyard", "notice"), message))
    work = defer.maybeDeferred(reporter.sendMessage, reports)
    # Twice the time that a single wait may take: there is more than one.
    work.addTimeout(2 * timeout_s, reporter.master.reactor)
    try:
        await work
    except (Refused, TryLater):
        raise
    except defer.TimeoutError as exc:
        raise TryLater(f"no answer within {2 * timeout_s:.0f} s") from exc
    except Exception as exc:
        # The words of an exception may have an address in them, and that a secret.
        raise TryLater(_kind(exc)) from exc


def _kind(error: Exception) -> str:
    """What went wrong, by the names of the errors alone."""
    named = [type(error).__name__]
    while (cause := error.__cause__ or error.__context__) is not None and len(named) < 4:
        error = cause  # type: ignore[assignment]
        named.append(type(error).__name__)
    return one_line("it could not be sent: " + ", by ".join(dict.fromkeys(named)))


class KnownAnswers:
    """A reporter's HTTP session that raises what a server says against a message, and waits for it only so long.

    Stock waits for ever, and its reporters log such answers, or do not look at them.
    """

    def __init__(self, session: Any, timeout_s: float) -> None:
        self._session, self._timeout_s = session, timeout_s

    def __getattr__(self, name: str) -> Any:
        return getattr(self._session, name)

    def post(self, endpoint: str, **how: Any) -> Any:
        return self._checked(self._session.post(endpoint, timeout=self._timeout_s, **how))

    def put(self, endpoint: str, **how: Any) -> Any:
        return self._checked(self._session.put(endpoint, timeout=self._timeout_s, **how))

    @async_to_deferred
    async def _checked(self, request: Any) -> Any:
        response = await request
        if 200 <= response.code < 300:
            return response
        said = (await response.content()).decode("utf-8", "replace")
        words = one_line(f"{response.code}: {said}" if said.strip() else f"{response.code}")
        raise TryLater(words) if response.code >= 500 or response.code in PASSING else Refused(words)
