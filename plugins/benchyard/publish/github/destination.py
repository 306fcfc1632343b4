"""Results at GitHub: a status at the commit that was measured, and a comment with the table at its pull request.

Both are looked for before they are made, so that one which was made and not noted is not made twice. A status says that
the commit was measured, and how it came out in words; its state never says that a commit is bad, since what speed is
worth is for people to decide.
"""

import re
from typing import Any

import msgspec
from buildbot.interfaces import IRenderable
from twisted.internet import threads
from zope.interface import implementer

from benchyard.publish.describing import compared, describe_row, suite_of
from benchyard.publish.destinations import Publication, Receipt, Refused, Site, TryLater
from benchyard.publish.github.api import CommentReporter, Denied, StatusReporter
from benchyard.publish.secrets import read_secret, secret_name
from benchyard.publish.settings import GitHub as Settings
from benchyard.results.errors import ResultError
from benchyard.results.layout import variant
from benchyard.results.markdown import comparison_markdown, headline, result_markdown
from benchyard.store.rows import BENCHMARKS, Result

#: What GitHub takes: 65,536 characters of a comment, of which some are ours, and 140 of a status's description.
BODY_BYTES, DESCRIPTION = 65_000, 140

_TOKEN = re.compile(r"[\x21-\x7e]+", re.ASCII)
_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}", re.ASCII)
_PULL = re.compile(r"(refs/)?pull/([1-9][0-9]{0,9})/(?:head|merge)", re.ASCII)
_REPOSITORY = re.compile(r"[:/]([\w.-]+/[\w.-]+?)(?:\.git)?/?$", re.ASCII)


class Texts(msgspec.Struct, frozen=True):
    """What is said of a result: in a comment, and in a status."""

    body: str
    description: str


def make(name: str, settings: Settings, site: Site) -> "GitHubDestination":
    """The destination of `[publish.NAME]`."""
    return GitHubDestination(name, settings, site)


@implementer(IRenderable)
class Token:
    """A destination's token, read anew for each request; it is in nothing that is shown or compared."""

    def __init__(self, site: Site, destination: str) -> None:
        self._secrets_dir, self._destination = site.secrets_dir, destination

    def getRenderingFor(self, _properties: Any) -> str:
        token = read_secret(self._secrets_dir, self._destination)
        if not _TOKEN.fullmatch(token):
            raise TryLater(f"the lab's secret {secret_name(self._destination)} is no token of GitHub's: put one there")
        return token


class GitHubDestination:
    """A repository at GitHub."""

    can_withdraw = True

    def __init__(self, name: str, settings: Settings, site: Site) -> None:
        self._settings, self._site = settings, site
        self._owner, _, self._repository = settings.repository.partition("/")
        options = {"token": Token(site, name), "baseURL": settings.api, "generators": []}
        # While settings are read anew, there are two of a name for a moment.
        self._statuses = StatusReporter(name=f"benchyard-publish-{name}-statuses-{id(self)}", **options)
        self._comments = CommentReporter(name=f"benchyard-publish-{name}-comments-{id(self)}", **options)

    def refusal(self, result: Result) -> str | None:
        if result.kind != BENCHMARKS:
            return f"results of kind {result.kind} say nothing of a commit's speed"
        if result.commit is None or not _COMMIT.fullmatch(result.commit):
            return "its commit is not known in full"
        if (result.interpreter or {}).get("patch"):
            return "it was measured with a patch, so it is not of that commit"
        if not self._settings.status and (not self._settings.comment or self._pull(result) is None):
            return f"it is not of a pull request of {self._settings.repository}"
        return None

    def slot(self, result: Result) -> str:
        return f"{result.commit} {_context(result)}"

    async def publish(self, publication: Publication) -> Receipt:
        try:
            texts = await threads.deferToThread(_texts, publication)
        except ResultError as exc:
            raise Refused(f"its file or that of its base cannot be read: {exc}") from exc
        await self._start()
        result = publication.head.result
        done, where = [], None
        if self._settings.status:
            await self._set_status(publication, texts.description)
            done.append(f"status at {str(result.commit)[:10]}")
        if self._settings.comment and (number := self._pull(result)) is not None:
            where = await self._set_comment(result, number, texts.body)
            done.append(f"comment at #{number}")
        return Receipt(", ".join(done), where)

    async def withdraw(self, publication: Publication) -> Receipt:
        await self._start()
        result = publication.head.result
        words = f"{_title(result)} withdrawn by the lab"
        done, where = [], None
        if self._settings.status:
            status = await self._status(result)
            # Where there is a later result's by now, that one stands.
            if status is not None and str(status.get("description")).startswith(_title(result)):
                await self._set_status(publication, words)
                done.append(f"status at {str(result.commit)[:10]}")
        if self._settings.comment and (number := self._pull(result)) is not None:
            where = await self._set_comment(result, number, f"{words}\n", make=False)
            done += [f"comment at #{number}"] if where else []
        return Receipt(f"withdrawn: {', '.join(done)}" if done else "there was nothing to withdraw", where)

    async def close(self) -> None:
        for reporter in (self._statuses, self._comments):
            if reporter.parent is not None:
                await reporter.disownServiceParent()

    async def _start(self) -> None:
        """Give the reporters to the master, whose HTTP client they use."""
        for reporter in (self._statuses, self._comments):
            if reporter.parent is None:
                await reporter.setServiceParent(self._site.master)

    async def _set_status(self, publication: Publication, description: str) -> None:
        result = publication.head.result
        wanted = {"state": "success", "description": description, "target_url": publication.link}
        there = await self._status(result)
        if there is None or any(there.get(key) != value for key, value in wanted.items()):
            place = (self._owner, self._repository, str(result.commit))
            await self._statuses.create(*place, context=_context(result), **wanted)

    async def _status(self, result: Result) -> dict[str, Any] | None:
        """The status that GitHub has of what a result is of: the last that was set."""
        pages = await self._statuses.pages(f"{self._at}/commits/{result.commit}/status")
        statuses = [status for page in pages for status in page.get("statuses", ())]
        return next((status for status in statuses if status.get("context") == _context(result)), None)

    async def _set_comment(self, result: Result, number: int, text: str, *, make: bool = True) -> str | None:
        """Make or change the comment of a result; its address, None where there is none."""
        body = f"{marker(result)}\n{text}"
        comment = await self._comment(result, number)
        if comment is None:
            if not make:
                return None
            comment = await self._comments.create(self._owner, self._repository, number, body)
        elif _normal(comment.get("body")) != _normal(body):
            comment = await self._comments.patch(f"{self._at}/issues/comments/{int(comment['id'])}", {"body": body})
        return str(comment.get("html_url") or "") or None

    async def _comment(self, result: Result, number: int) -> dict[str, Any] | None:
        """The comment of a result among those of a pull request: one that this token has made, not a copy of it."""
        login = await self._login()
        pages = await self._comments.pages(f"{self._at}/issues/{number}/comments")
        for comment in (comment for page in pages for comment in page):
            user = comment.get("user") or {}
            is_ours = user.get("login") == login if login is not None else user.get("type") == "Bot"
            if is_ours and _normal(comment.get("body")).split("\n", 1)[0] == marker(result):
                return dict(comment)
        return None

    async def _login(self) -> str | None:
        """Whose the token is; None where it is that of an app, which is nobody."""
        try:
            user = await self._comments.get("/user")
        except Denied as exc:
            if exc.code == 403:
                return None
            raise
        return str(user["login"])

    def _pull(self, result: Result) -> int | None:
        """The pull request that a result was asked for, where it is one of this repository's."""
        interpreter = result.interpreter or {}
        asked = _PULL.fullmatch(str(interpreter.get("ref") or ""))
        repository = _REPOSITORY.search(str(interpreter.get("url") or ""))
        if asked is None or repository is None or repository[1].lower() != self._settings.repository.lower():
            return None
        is_branch = asked[1] is None and result.branch is not None
        return None if is_branch else int(asked[2])

    @property
    def _at(self) -> str:
        return f"/repos/{self._settings.repository}"


def marker(result: Result) -> str:
    """What the comment of a result begins with; nobody sees it."""
    return f"<!-- benchyard result {result.id} -->"


def _title(result: Result) -> str:
    """What the description of a result's status begins with."""
    return f"result {result.id}:"


def _context(result: Result) -> str:
    """What a status is known by; another for each kind of interpreter that is measured of a commit."""
    return "/".join(("benchyard", result.target or result.host, *variant(result.flags)))


def _texts(publication: Publication) -> Texts:
    """What is said of a result. Blocks for a second."""
    result = publication.head.result
    head = describe_row(result, publication.link)
    comparison = compared(publication)
    if comparison is None or publication.base is None:
        body = result_markdown(suite_of(publication.head), head, limit=BODY_BYTES)
        said = f"{result.benchmarks} benchmarks measured on {result.host}"
    else:
        base = describe_row(publication.base.result)
        body = comparison_markdown(comparison, base=base, head=head, limit=BODY_BYTES)
        said = headline(comparison)
    return Texts(body, f"{_title(result)} {said}"[:DESCRIPTION])


def _normal(body: Any) -> str:
    return str(body or "").replace("\r\n", "\n").strip()
