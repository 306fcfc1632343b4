"""The client: one lab, its collections, and the connection they share."""

from collections.abc import Iterator
from types import TracebackType
from typing import Self

import httpx

from benchyard.client.config import Config, Login, check_token, load_login, normal_url
from benchyard.client.entities import Link, ask
from benchyard.client.events import Event, listen
from benchyard.client.health import Health
from benchyard.client.hosts import Host, Hosts
from benchyard.client.http import Api
from benchyard.client.jobs import Job, Jobs
from benchyard.client.notices import Notices
from benchyard.client.queues import Queues, TargetQueue
from benchyard.client.regressions import Regressions
from benchyard.client.results import BenchmarkResult, Results
from benchyard.client.series import AllSeries
from benchyard.client.uploads import Uploads
from benchyard.client.users import NewToken, User, Users
from benchyard.client.waiting import Polling


class Client:
    """A lab at `url`; use it as a context manager, or close() it.

    Without `url` the user's default lab is meant, without `token` the one the user's configuration (or
    BENCHYARD_TOKEN) has for the lab; `config` stands in for that configuration. `timeout_s` bounds each
    wait for the lab to answer, in seconds; a request is tried again a few times when nobody answers.
    """

    def __init__(
        self,
        url: str | None = None,
        config: Config | None = None,
        *,
        token: str | None = None,
        timeout_s: float = 30.0,
        polling: Polling | None = None,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        login = _login(url, config, token)
        self.url = login.url
        polling = polling or Polling()
        api = Api(login.url, login.token, timeout_s=timeout_s, transport=transport, sleep=polling.sleep)
        self._link = Link(api, polling)
        self.users = Users(User, self._link)
        self.hosts = Hosts(Host, self._link)
        self.jobs = Jobs(Job, self._link)
        self.results = Results(BenchmarkResult, self._link)
        self.uploads = Uploads(self._link)
        self.queue = TargetQueue(self._link)
        self.queues = Queues(self._link)
        self.notices = Notices(self._link)
        self.series = AllSeries(self._link)
        self.regressions = Regressions(self._link)

    def health(self) -> Health:
        """Return the lab's state in short; answered without a token, too."""
        return ask(Health, self._link, "GET", "/health")

    def log_in(self, user: str, password: str, *, name: str = "login", expires_days: float | None = None) -> NewToken:
        """Return a new token for a user's name and password; Unauthorized if they are wrong.

        `name` is what the token is known by among the user's tokens. Nothing of it is kept here.
        """
        body: dict[str, object] = {"user": user, "password": password, "name": name}
        if expires_days is not None:
            body["expires_days"] = expires_days
        return ask(NewToken, self._link, "POST", "/login", body)

    def events(self, *, after: str | None = None) -> Iterator[Event]:
        """Iterate over changes of jobs, queues and hosts as they happen, from now or after an event's id, on and on.

        Leaving the loop ends the listening. A lab that is away for some minutes is waited for.
        """
        return listen(self._link, after)

    def close(self) -> None:
        """Close the connections; the client is of no use afterwards."""
        self._link.api.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Client({self.url!r})"


def _login(url: str | None, config: Config | None, token: str | None) -> Login:
    if url is not None and token is not None:
        return Login(normal_url(url), token=check_token(token))
    login = load_login(url, config=config)
    return login if token is None else Login(login.url, token=check_token(token))
