"""From the settings of notifiers to Buildbot's reporters, with everything that can be known to be wrong refused."""

import inspect
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from buildbot.config.errors import ConfigErrors, capture_config_errors
from buildbot.plugins import reporters
from buildbot.plugins.db import PluginDBError
from buildbot.reporters.base import ReporterBase

from benchyard.publish.notices.mailing import PORTS, NoticeMail
from benchyard.publish.notices.reporting import BEGINNING, OBJECT, SERVICE, TEXT, NoticeGenerator
from benchyard.publish.notices.settings import AnyNotifier, Mail, Reporter
from benchyard.store.addresses import is_address

#: Stock reporters that tell of builds and commits, and of nothing else.
BUILDS_ONLY = frozenset(
    {
        "BitbucketServerCoreAPIStatusPush",
        "BitbucketServerPRCommentPush",
        "BitbucketServerStatusPush",
        "BitbucketStatusPush",
        "GerritStatusPush",
        "GerritVerifyStatusPush",
        "GitHubCommentPush",
        "GitHubStatusPush",
        "GitLabStatusPush",
        "ZulipStatusPush",
    }
)

#: What reporters of these names, and what is made of them, take as a message.
FORMS = {"HttpStatusPush": OBJECT, "PushoverNotifier": BEGINNING, "PushjetNotifier": BEGINNING}

#: Options that are ours to say; `debug` writes what is sent, and how it is authorized, into the log.
OURS = frozenset({"name", "generators", "debug", "dumpMailsToLog"})

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


class WrongNotifier(ValueError):
    """The settings of a notifier cannot be right; `key` is the one to correct, and the message says how."""

    def __init__(self, key: str, message: str) -> None:
        super().__init__(message)
        self.key = key


class SecretText(str):
    """A secret among the arguments of a service, which Buildbot logs where it cannot apply them."""

    def __repr__(self) -> str:
        return "'(secret)'"


def secret_name(name: str) -> str:
    """The name of the secret of a notifier's mail account, which is that of its file."""
    return f"notify-{name}"


def make_reporter(name: str, settings: AnyNotifier, secrets_dir: Path) -> Any:
    """Buildbot's reporter for a notifier; WrongNotifier where its settings cannot be right."""
    if isinstance(settings, Mail):
        return _mail(name, settings, secrets_dir)
    return _reporter(name, settings, secrets_dir)


def _mail(name: str, settings: Mail, secrets_dir: Path) -> NoticeMail:
    if not is_address(settings.sender, named=True):
        raise WrongNotifier("sender", f"{settings.sender!r} is no mail address, such as lab@example.org")
    for address in settings.to:
        if not is_address(address, named=True):
            raise WrongNotifier("to", f"{address!r} is no mail address, such as ada@example.org")
    if not settings.to and not settings.owners:
        raise WrongNotifier("to", "there is nobody to write to; name somebody, or let owners = true")
    if settings.user and settings.tls == "none" and settings.host not in LOOPBACK:
        raise WrongNotifier("tls", "a password is not sent without TLS; use starttls or implicit")
    if settings.ca_file and not Path(settings.ca_file).is_file():
        raise WrongNotifier("ca_file", f"there is no file {settings.ca_file}")
    if settings.user:
        _secret(secrets_dir, secret_name(name), "user")
    return NoticeMail(
        name=SERVICE.format(name=name),
        generators=[NoticeGenerator(TEXT)],
        fromaddr=settings.sender,
        relayhost=settings.host,
        smtpPort=settings.port or PORTS[settings.tls],
        smtpUser=settings.user or None,
        extraRecipients=list(settings.to),
        sendToInterestedUsers=settings.owners,
        tls=settings.tls,
        ca_file=settings.ca_file,
        password_file=str(secrets_dir / secret_name(name)),
        timeout_s=settings.timeout_s,
    )


def _reporter(name: str, settings: Reporter, secrets_dir: Path) -> Any:
    kind = _class_of(settings.reporter)
    for option in (*settings.options, *settings.secrets):
        if option in OURS:
            raise WrongNotifier("options", f"{option!r} is not for you to say")
    options = {**settings.options}
    for option, file in settings.secrets.items():
        _put(options, option, _secret(secrets_dir, file, f"secrets.{option}"))
    for option, value in options.items():
        if isinstance(value, str) and urlsplit(value).scheme in ("http", "https") and value.endswith("/"):
            raise WrongNotifier("options", f"{option}: leave out the slash at its end")
    known = inspect.signature(kind.checkConfig).parameters
    form = next((FORMS[base.__name__] for base in kind.__mro__ if base.__name__ in FORMS), TEXT)
    try:
        with capture_config_errors(raise_on_error=True):
            return kind(name=SERVICE.format(name=name), generators=[NoticeGenerator(form)], **options)
    except TypeError as exc:
        words = str(exc).partition("() ")[2] or "these cannot be its options"
        names = ", ".join(name for name in known if name not in {*OURS, "self", "kwargs"})
        raise WrongNotifier("options", f"{settings.reporter}: {words}; it has {names}") from exc
    except ConfigErrors as exc:
        raise WrongNotifier("options", "; ".join(exc.errors)) from exc


def _class_of(name: str) -> Any:
    if name in reporters and _takes_notices(name):
        return reporters.get(name)
    able = ", ".join(sorted(filter(_takes_notices, reporters.names)))
    what = f"{name} can tell of builds only" if name in reporters else f"Buildbot has no reporter {name!r}"
    raise WrongNotifier("reporter", f"{what}; there are {able}")


def _takes_notices(name: str) -> bool:
    """Whether a reporter takes reports that are not about builds; chat bots and what reporters consist of do not."""
    if name in BUILDS_ONLY or name == "MailNotifier":  # that one is kind = "mail"
        return False
    try:
        kind = reporters.get(name)
    except PluginDBError:
        return False  # what it needs is not installed
    is_reporter = isinstance(kind, type) and issubclass(kind, ReporterBase)
    return is_reporter and "generators" in inspect.signature(kind.checkConfig).parameters


def _put(options: dict[str, Any], path: str, secret: SecretText) -> None:
    """Put a secret among the options: `headers.Authorization` is a header, and `auth` of USER:PASSWORD are two."""
    head, dot, rest = path.partition(".")
    if dot:
        inner = options.get(head, {})
        if not isinstance(inner, Mapping):
            raise WrongNotifier(f"secrets.{path}", f"{head!r} of the options is no table")
        options[head] = {**inner, rest: secret}
    elif head == "auth":
        user, _, password = secret.partition(":")
        options[head] = (user, SecretText(password))
    else:
        options[head] = secret


def _secret(secrets_dir: Path, file: str, key: str) -> SecretText:
    if "/" in file or file.startswith("."):
        raise WrongNotifier(key, f"{file!r} is no name of a secret")
    try:
        secret = (secrets_dir / file).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        secret = ""
    if not secret:
        raise WrongNotifier(key, f"the lab has no secret {file}; give it one with `benchyard lab secret {file} DIR`")
    return SecretText(secret)
