"""The contract with Buildbot 4.3's reporters: what of their inside we lean on, and what change of it would break us."""

import inspect
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from buildbot.interfaces import IReportGenerator
from buildbot.plugins import reporters
from buildbot.process.results import FAILURE, SUCCESS
from buildbot.reporters.base import ReporterBase
from buildbot.reporters.http import HttpStatusPush
from buildbot.reporters.mail import MailNotifier
from receiver import Answer, Receiver

from benchyard.publish.destinations import Refused, TryLater
from benchyard.publish.notices.notifiers import BUILDS_ONLY
from benchyard.publish.notices.reporting import (
    BEGINNING,
    OBJECT,
    SERVICE,
    SHORT,
    TEXT,
    NoticeGenerator,
    beginning,
    send,
)
from benchyard.publish.notices.settings import Reporter
from benchyard.store.rows import Notice

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.publish.notices.conftest import Masters

NOTICE = Notice(
    7, "job_done:1", "job_done", 5.0, "linux", "job 1 success", "a  1 ms\n", ("ada",), {"status": "success"}
)


def report_of(spin: "Callable[..., Any]", notice: Notice, form: str = TEXT) -> dict[str, Any]:
    message = {"notice": notice, "users": ["ada@example.org"]}

    async def make() -> Any:
        return await NoticeGenerator(form).generate(None, None, None, message)

    report: dict[str, Any] = spin(make())
    return report


def test_generator_is_one_of_buildbot_s(spin: "Callable[..., Any]") -> None:
    """It gives all that a reporter may look for in a report, and wants no event: nothing is told behind our back."""
    assert IReportGenerator.providedBy(NoticeGenerator())
    assert list(NoticeGenerator().wanted_event_keys) == []
    assert NoticeGenerator(TEXT) != NoticeGenerator(OBJECT) and NoticeGenerator(TEXT) == NoticeGenerator(TEXT)
    report = report_of(spin, NOTICE)
    assert (report["subject"], report["body"], report["type"]) == ("job 1 success", "a  1 ms\n", "plain")
    assert (report["results"], report["users"]) == (SUCCESS, ["ada@example.org"])
    names = ("builds", "buildset", "patches", "logs", "worker", "extra_info")
    assert {name: report[name] for name in names} == dict.fromkeys(names)
    other = Notice(8, "x", "lane_stale", 5.0, None, "s", "b", (), {})
    assert report_of(spin, other)["results"] == FAILURE


def test_forms(spin: "Callable[..., Any]") -> None:
    """Programs get the notice as an object with all of its text in one as well, push services what fits."""
    body = report_of(spin, NOTICE, OBJECT)["body"]
    assert (body["id"], body["data"], body["text"]) == (7, {"status": "success"}, "job 1 success\n\na  1 ms\n")
    assert report_of(spin, NOTICE, BEGINNING)["body"] == NOTICE.body
    long = beginning("".join(f"line {i}\n" for i in range(1000)))
    assert len(long) <= SHORT
    assert long.endswith("\n...") and long.splitlines()[-2].startswith("line ")


def test_sendmessage_is_where_a_report_goes() -> None:
    """Reporters have `sendMessage(reports)`, `generators` among their arguments, and `_http` where they use HTTP."""
    assert list(inspect.signature(ReporterBase.sendMessage).parameters) == ["self", "reports"]
    for name in ("HttpStatusPush", "PushoverNotifier", "PushjetNotifier"):
        kind = reporters.get(name)
        assert "generators" in inspect.signature(kind.checkConfig).parameters
        assert "_http" in inspect.getsource(kind)
    known = {name for name in BUILDS_ONLY if name in reporters}
    assert known == BUILDS_ONLY
    assert "checkConfig" in vars(HttpStatusPush)


def test_mail_of_a_report() -> None:
    """MailNotifier takes the addresses of `users` as they are without a lookup, and sends by `sendMail`."""
    assert list(inspect.signature(MailNotifier.sendMail).parameters) == ["self", "m", "recipients"]
    needed = ("fromaddr", "relayhost", "extraRecipients", "sendToInterestedUsers", "smtpUser", "smtpPort", "generators")
    assert set(needed) <= set(inspect.signature(MailNotifier.reconfigService).parameters)


@pytest.mark.parametrize(
    ("answer", "error", "words"),
    [
        ((500, "no database"), TryLater, "500: no database"),
        ((429, ""), TryLater, "429"),
        ((404, "no such hook"), Refused, "404: no such hook"),
        ((204, ""), None, ""),
    ],
)
def test_answers_are_known(
    masters: "Masters",
    receiver: Receiver,
    answer: tuple[int, str],
    error: type[Exception] | None,
    words: str,
) -> None:
    """What a server says against a message is raised; HttpStatusPush alone would only have logged it."""
    master = masters.start({"chat": Reporter(reporter="HttpStatusPush", options={"serverUrl": receiver.url})})
    reporter = master.master.service_manager.namedServices[SERVICE.format(name="chat")]
    receiver.answers = [Answer(answer[0], answer[1].encode())]

    async def tell() -> None:
        await send(reporter, NOTICE, (), timeout_s=10.0)

    if error is None:
        master.spin(tell())
    else:
        with pytest.raises(error, match=words):
            master.spin(tell())
    assert msgspec.json.decode(receiver.seen[0].body)["subject"] == "job 1 success"


def test_nobody_is_there(masters: "Masters", receiver: Receiver) -> None:
    """Where nobody listens, the reason is told without the address, which may be a secret."""
    receiver.down()
    options = {"serverUrl": f"{receiver.url}/hooks/s3cret"}
    master = masters.start({"chat": Reporter(reporter="HttpStatusPush", options=options)})
    reporter = master.master.service_manager.namedServices[SERVICE.format(name="chat")]

    async def tell() -> None:
        await send(reporter, NOTICE, (), timeout_s=10.0)

    with pytest.raises(TryLater, match="^it could not be sent: ") as refused:
        master.spin(tell())
    assert "s3cret" not in str(refused.value)
