"""Buildbot's reporters for GitHub, so that they tell what GitHub has answered; and what its answers mean.

As they are, these reporters post whatever a build has come to, log what went wrong, and forget it. Here they have no
builds to report: they are asked, and answer. What they lack, looking for what is there and changing it, is added.
"""

import time
from collections.abc import Iterator, Mapping
from email.utils import parsedate_to_datetime
from typing import Any

import msgspec
from buildbot.process.properties import Properties
from buildbot.reporters.github import GitHubCommentPush, GitHubStatusPush
from buildbot.util.httpclientservice import HTTPSession
from requests import RequestException
from requests.utils import parse_header_links
from twisted.internet import defer

from benchyard.publish.destinations import Refused, TryLater
from benchyard.publish.http import one_line, trouble

# Seconds to connect, and between two bytes of an answer.
_TIMEOUT_S = (15.0, 60.0)

# What GitHub asks to wait where it says of a limit no more than that there is one.
_LIMIT_S = 60.0

#: As many pages of a list are looked through: 10,000 comments.
_MOST_PAGES = 100

_HEADERS = {
    "User-Agent": "benchyard",
    "Accept": "application/vnd.github+json",
    "X-GitHub-Api-Version": "2022-11-28",
}

_HINTS = {
    401: "put a token that is valid into the lab's secret",
    403: "the token must be allowed to write commit statuses and pull requests",
    404: "is the repository's name right, and may the token see it?",
}


class Denied(Refused):
    """GitHub does not do what it was asked; `code` is its HTTP status."""

    def __init__(self, words: str, code: int) -> None:
        super().__init__(words)
        self.code = code


class Answer(msgspec.Struct, frozen=True):
    """What GitHub has answered; the names of `headers` are found in any case."""

    code: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def data(self) -> Any:
        """The JSON in it; None where it is none."""
        try:
            return msgspec.json.decode(self.body)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return None


class Session(HTTPSession):
    """Buildbot's session with limits of time, that follows nobody elsewhere and keeps the headers of answers."""

    def __init__(self, http: Any, base_url: str) -> None:
        # An `auth` of its own: else a ~/.netrc of the lab's user would take the place of the token.
        super().__init__(http, base_url, headers=_HEADERS, auth=_as_it_is)

    async def ask(self, method: str, path: str, **kwargs: Any) -> Answer:
        """Send a request. Buildbot's session has no PATCH among its methods, but sends what it is told."""
        seen: list[Mapping[str, str]] = []

        def see(response: Any, *_args: Any, **_kwargs: Any) -> None:
            seen.append(response.headers)

        kwargs |= {"timeout": _TIMEOUT_S, "allow_redirects": False, "hooks": {"response": see}}
        try:
            response = await self.http._do_request(self, method, path, **kwargs)
        except RequestException as exc:
            raise trouble(exc) from None  # in its words there may be the token
        return Answer(response.code, seen[-1], await response.content())

    def post(self, ep: str, **kwargs: Any) -> Any:
        return defer.ensureDeferred(self.ask("post", ep, **kwargs))


class Asked:
    """What both reporters have besides Buildbot's: questions, by path below a repository."""

    master: Any
    _http: Any

    @defer.inlineCallbacks
    def reconfigService(self, *args: Any, **kwargs: Any) -> Any:
        yield super().reconfigService(*args, **kwargs)  # type: ignore[misc]
        self._http = Session(self.master.httpservice, self._http.base_url)

    async def get(self, path: str) -> Any:
        """The JSON at a path; Refused or TryLater for any answer that is no success."""
        return checked(await self._ask("get", path))

    async def pages(self, path: str) -> list[Any]:
        """The JSON of all pages of a list."""
        pages = []
        where = f"{path}?per_page=100"
        for _ in range(_MOST_PAGES):
            answer = await self._ask("get", where)
            pages.append(checked(answer))
            following = next(_next_links(answer), None)
            if following is None:
                return pages
            if not following.startswith(f"{self._http.base_url}/"):
                raise TryLater("GitHub names a next page that is at another address")
            where = following.removeprefix(self._http.base_url)
        raise Refused(f"there are more than {_MOST_PAGES} pages at {path}")

    async def patch(self, path: str, data: dict[str, Any]) -> Any:
        """Change what is at a path."""
        return checked(await self._ask("patch", path, json=data))

    async def _ask(self, method: str, path: str, **kwargs: Any) -> Answer:
        headers = await self._get_auth_header(Properties())  # type: ignore[attr-defined]
        answer: Answer = await self._http.ask(method, path, headers=headers, **kwargs)
        return answer


class StatusReporter(Asked, GitHubStatusPush):
    """Statuses of commits."""

    async def create(self, owner: str, repository: str, commit: str, **status: str) -> Any:
        """Set the status of a context."""
        return checked(await self.createStatus(owner, repository, commit, props=Properties(), **status))


class CommentReporter(Asked, GitHubCommentPush):
    """Comments at pull requests."""

    async def create(self, owner: str, repository: str, number: int, body: str) -> Any:
        """Make a comment."""
        return checked(
            await self.createStatus(
                owner, repository, sha="", state="", props=Properties(), issue=str(number), description=body
            )
        )


def checked(answer: Answer) -> Any:
    """The JSON of an answer that is a success; else raises Refused, or TryLater where time may mend it."""
    if 200 <= answer.code < 300:
        if (data := answer.data) is None:
            raise TryLater(f"GitHub has answered {answer.code} with something that is no JSON")
        return data
    said = _words(answer)
    if answer.code in (403, 429) and (after := _limited(answer)) is not None:
        raise TryLater(said, after)
    if answer.code >= 500 or answer.code in (408, 429):
        raise TryLater(said, _seconds(answer.headers.get("retry-after")))
    if 300 <= answer.code < 400:
        raise Denied(f"{said}: the repository has another name now; write that into the settings", answer.code)
    hint = _HINTS.get(answer.code)
    raise Denied(f"{said}; {hint}" if hint else said, answer.code)


def _words(answer: Answer) -> str:
    """What GitHub says, in one line."""
    data = answer.data
    parts = []
    if isinstance(data, dict):
        parts.append(str(data.get("message", "")))
        errors = data.get("errors")
        for error in errors if isinstance(errors, list) else []:
            if isinstance(error, dict):
                words = error.get("message") or f"{error.get('field', '')} {error.get('code', '')}"
                parts.append(str(words))
            else:
                parts.append(str(error))
    said = one_line("; ".join(part.strip() for part in parts if part.strip()))
    return f"GitHub: {said} (HTTP {answer.code})" if said else f"GitHub: HTTP {answer.code}"


def _limited(answer: Answer) -> float | None:
    """How many seconds to wait where an answer is about a limit of requests; None where it is not.

    https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api#exceeding-the-rate-limit
    """
    headers = answer.headers
    if (after := _seconds(headers.get("retry-after"))) is not None:
        return after
    if headers.get("x-ratelimit-remaining") == "0":
        reset = _seconds(headers.get("x-ratelimit-reset"))
        return max(1.0, reset - _now(headers)) if reset is not None else _LIMIT_S
    return _LIMIT_S if answer.code == 429 or "rate limit" in _words(answer).lower() else None


def _now(headers: Mapping[str, str]) -> float:
    """The time by GitHub's own clock, in epoch seconds."""
    try:
        return parsedate_to_datetime(headers["date"]).timestamp()
    except (KeyError, ValueError):
        return time.time()


def _seconds(text: str | None) -> float | None:
    return float(text) if text is not None and text.isascii() and text.isdigit() else None


def _next_links(answer: Answer) -> Iterator[str]:
    for found in parse_header_links(answer.headers.get("link", "")):
        if found.get("rel") == "next":
            yield found["url"]


def _as_it_is(request: Any) -> Any:
    return request
