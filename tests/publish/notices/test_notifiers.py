"""The settings of notifiers: what is right becomes a reporter of Buildbot's, what is wrong is one line."""

from pathlib import Path
from typing import Any

import msgspec
import pytest
from buildbot.reporters.http import HttpStatusPush
from buildbot.reporters.pushover import PushoverNotifier

from benchyard.publish.notices.mailing import NoticeMail
from benchyard.publish.notices.notifiers import WrongNotifier, make_reporter
from benchyard.publish.notices.settings import AnyNotifier


def settings(**given: Any) -> Any:
    """Settings as the file has them."""
    return msgspec.convert(given, AnyNotifier)


@pytest.fixture
def secrets(tmp_path: Path) -> Path:
    """The lab's secrets."""
    for name, secret in (
        ("notify-mail", "hunter2 hunter2\n"),
        ("hook", "http://127.0.0.1:1/hooks/s3cret\n"),
        ("e", ""),
    ):
        (tmp_path / name).write_text(secret)
    return tmp_path


def mail(**given: Any) -> Any:
    return settings(**{"kind": "mail", "sender": "lab <lab@example.org>", **given})


def reporter(name: str, **given: Any) -> Any:
    return settings(**{"kind": "reporter", "reporter": name, **given})


def test_mail(secrets: Path) -> None:
    """Mail is Buildbot's MailNotifier, at the usual port of its kind of TLS; the password stays in its file."""
    made = make_reporter("mail", mail(user="lab", to=["a@example.org"]), secrets)
    assert isinstance(made, NoticeMail) and made.name == "benchyard-notify-mail"
    assert made._config_kwargs["smtpPort"] == 587
    assert make_reporter("mail", mail(tls="implicit"), secrets)._config_kwargs["smtpPort"] == 465
    assert make_reporter("mail", mail(port=2525), secrets)._config_kwargs["smtpPort"] == 2525
    assert "hunter2" not in repr(made.getConfigDict())


def test_other_reporters(secrets: Path) -> None:
    """They are made with their options and secrets; Buildbot may log its arguments, and shows no secret then."""
    made = make_reporter("chat", reporter("HttpStatusPush", secrets={"serverUrl": "hook"}), secrets)
    assert isinstance(made, HttpStatusPush)
    assert made._config_kwargs["serverUrl"] == "http://127.0.0.1:1/hooks/s3cret"
    assert "s3cret" not in repr(made.getConfigDict())
    options = {"serverUrl": "http://x.example", "headers": {"A": "b"}}
    both = {"headers.Authorization": "hook", "auth": "notify-mail"}
    made = make_reporter("chat", reporter("HttpStatusPush", options=options, secrets=both), secrets)
    assert made._config_kwargs["headers"] == {"A": "b", "Authorization": "http://127.0.0.1:1/hooks/s3cret"}
    assert made._config_kwargs["auth"] == ("hunter2 hunter2", "")
    pushed = reporter("PushoverNotifier", options={"user_key": "u"}, secrets={"api_token": "notify-mail"})
    assert isinstance(make_reporter("push", pushed, secrets), PushoverNotifier)


WRONG: dict[str, tuple[Any, str, str]] = {
    "sender": (mail(sender="nobody"), "sender", "'nobody' is no mail address"),
    "sender of two lines": (mail(sender="a@example.org\nBcc: b@example.org"), "sender", "is no mail address"),
    "to": (mail(to=["Ada"]), "to", "'Ada' is no mail address"),
    "nobody": (mail(owners=False), "to", "there is nobody to write to"),
    "password in clear": (mail(user="u", tls="none", host="x.example"), "tls", "is not sent without TLS"),
    "authority": (mail(ca_file="/nowhere"), "ca_file", "there is no file /nowhere"),
    "unknown": (reporter("SlackPush"), "reporter", "Buildbot has no reporter 'SlackPush'; there are HttpStatusPush, "),
    "builds": (reporter("GitHubStatusPush"), "reporter", "GitHubStatusPush can tell of builds only; there are "),
    "bot": (reporter("IRC"), "reporter", "IRC can tell of builds only; there are "),
    "part": (reporter("MessageFormatter"), "reporter", "MessageFormatter can tell of builds only"),
    "option": (
        reporter("HttpStatusPush", options={"serverUrl": "http://x", "nonsense": 1}),
        "options",
        "HttpStatusPush: got an unexpected keyword argument 'nonsense'; it has serverUrl, auth, headers",
    ),
    "missing option": (reporter("PushoverNotifier"), "options", "PushoverNotifier: missing 2 required positional"),
    "refused option": (
        reporter("PushoverNotifier", options={"user_key": "u", "api_token": "t", "otherParams": {"x": 1}}),
        "options",
        "otherParams can be only 'sound'",
    ),
    "ours": (reporter("HttpStatusPush", options={"serverUrl": "http://x", "debug": True}), "options", "'debug'"),
    "slash": (
        reporter("HttpStatusPush", options={"serverUrl": "http://x/"}),
        "options",
        "serverUrl: leave out the slash",
    ),
    "no secret": (
        reporter("HttpStatusPush", secrets={"serverUrl": "none"}),
        "secrets.serverUrl",
        "the lab has no secret none; give it one with `benchyard lab secret none DIR`",
    ),
    "empty secret": (reporter("HttpStatusPush", secrets={"serverUrl": "e"}), "secrets.serverUrl", "has no secret e;"),
    "secret elsewhere": (
        reporter("HttpStatusPush", secrets={"serverUrl": "../benchyard.toml"}),
        "secrets.serverUrl",
        "is no name of a secret",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_settings(secrets: Path, case: str) -> None:
    """One line names the key and the remedy."""
    given, key, words = WRONG[case]
    with pytest.raises(WrongNotifier) as refused:
        make_reporter("x", given, secrets)
    assert refused.value.key == key
    assert words in str(refused.value)
    assert "\n" not in str(refused.value).replace("\\n", "")


def test_no_password(tmp_path: Path) -> None:
    """An account without its secret is refused at the start, with how to give it one."""
    with pytest.raises(WrongNotifier, match=r"the lab has no secret notify-mail; give it one with"):
        make_reporter("mail", mail(user="lab"), tmp_path)
