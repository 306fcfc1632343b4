"""What comes from a lab: documents made from the server's JSON, and among them entities, which can be changed.

The tie to the lab and the JSON are kept beside the fields, so that two answers that say the same are equal, and
one that is printed, pickled or made into JSON shows neither.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar, Self, TypeVar

import msgspec

from benchyard.client.errors import ClientError, ServerError, Stale
from benchyard.client.http import Answer, Api, Params, segment
from benchyard.client.waiting import Polling

D = TypeVar("D", bound="Document")

MODIFY_TRIES = 3
"""A job changes by itself while it runs; its etag may have passed before the change has arrived."""


class Link(msgspec.Struct, frozen=True):
    """The way back to the lab: its REST interface and how often to ask when waiting."""

    api: Api
    polling: Polling


class Document(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """Something that the lab told, as it was when it was asked."""

    @property
    def document(self) -> dict[str, Any]:
        """The server's own JSON object, with what this version of the client has no field for."""
        document = self.__dict__.get("document_")
        return dict(document) if document is not None else msgspec.to_builtins(self)

    @property
    def link(self) -> Link:
        """The lab this came from; ClientError for one that was made by hand."""
        link = self.__dict__.get("link_")
        if not isinstance(link, Link):
            raise ClientError(f"this {type(self).__name__} did not come from a Client")
        return link


@dataclass
class Seen:
    """The state of a record that its user knows: the last one that it, or what its methods returned, has shown.

    The one thing here that changes. It is what modify() holds against the lab's state, so that after
    `job.disable()` a `job.modify(...)` is not taken for a change behind somebody else's back.
    """

    etag: str | None
    document: dict[str, Any]


class Record(Document, frozen=True, kw_only=True):
    """Something of the lab that people change; what its methods return is its later state, itself it stays as it is.

    `id` is a number (jobs, results) or a name (users, hosts); `changed_by` is the name of who changed it last.
    """

    status: str
    created: datetime | None = None
    changed: datetime | None = None
    changed_by: str | None = None

    collection_: ClassVar[str]
    """The collection's part of the record's address."""

    shown_as_: ClassVar[Mapping[str, tuple[str, ...]]] = {}
    """Where the document shows a field of PATCH, unless under the field's own name."""

    @property
    def key_(self) -> str:
        """What the record is known by in its address."""
        return str(getattr(self, "id"))  # noqa: B009 (each kind declares its own type of id)

    @property
    def path_(self) -> str:
        """The record's address below the API's."""
        return f"/{self.collection_}/{segment(self.key_)}"

    @property
    def etag(self) -> str | None:
        """What the lab calls the state last seen; None for one out of a list, which tells no etags."""
        return self._seen.etag

    def refresh(self) -> Self:
        """Return it as it is now; NotFound once it is gone."""
        return self._asked("GET", "")

    @property
    def _seen(self) -> Seen:
        seen = self.__dict__.get("seen_")
        return seen if isinstance(seen, Seen) else Seen(None, self.document)

    def _asked(self, method: str, action: str, body: object = None, *, etag: str | None = None) -> Self:
        """Ask for something that is answered with the record's new state, and take note of that state."""
        return self._later(self.link.api.ask(method, self.path_ + action, body, etag=etag))

    def _later(self, answer: Answer) -> Self:
        """Make the record's new state of an answer, and take note of it."""
        later = make_document(type(self), answer.document, self.link, answer.etag)
        seen = self._seen
        seen.etag, seen.document = later.etag, later.document
        later.__dict__["seen_"] = seen
        return later

    def _modified(self, changes: Mapping[str, Any], *, expect: bool) -> Self:
        """Change fields; those with the value UNSET stay.

        With `expect` only if they still are as last seen, else Stale. Another change meanwhile, like the progress
        of a job, does no harm: the lab knows one etag for all of it, so it is told the new one.
        """
        changes = {name: value for name, value in changes.items() if value is not msgspec.UNSET}
        if not expect:
            return self._asked("PATCH", "", changes)
        known = {name: self._shown(name, self._seen.document) for name in changes}
        etag = self._seen.etag
        for attempt in range(MODIFY_TRIES):
            if etag is None:
                present = ask(type(self), self.link, "GET", self.path_)
                now = {name: self._shown(name, present.document) for name in changes}
                if attempt and all(now[name] == changes[name] for name in changes):
                    return self._asked("GET", "")  # done by a request whose answer was lost
                if other := next((name for name in changes if now[name] != known[name]), None):
                    raise Stale(
                        f"{other} of this {type(self).__name__} was changed meanwhile; look again with refresh()"
                    )
                etag = present.etag
            try:
                return self._asked("PATCH", "", changes, etag=etag)
            except Stale:
                if attempt == MODIFY_TRIES - 1:
                    raise
                etag = None
        raise AssertionError("the last try returns or raises")

    def _shown(self, name: str, document: dict[str, Any]) -> object:
        """The value of a field in a document; something equal to nothing but itself if it is never shown."""
        value: Any = document
        for key in self.shown_as_.get(name, (name,)):
            if not isinstance(value, dict) or key not in value:
                return msgspec.UNSET
            value = value[key]
        return value


class Entity(Record, frozen=True, kw_only=True):
    """A thing of the lab that has a life there: it can be taken out of use, and away."""

    enabled: bool = True

    def enable(self) -> Self:
        """Undo disable()."""
        return self._asked("POST", "/enable")

    def disable(self) -> Self:
        """Take the entity out of use, without changing anything else about it.

        A disabled user cannot log in, a disabled host gets no jobs, a disabled job does not start, a disabled
        result takes no part in comparisons.
        """
        return self._asked("POST", "/disable")

    def remove(self) -> None:
        """Remove the entity; the history of others that it took part in stays."""
        self.link.api.delete(self.path_)


E = TypeVar("E", bound=Entity)


def ask(
    kind: type[D],
    link: Link,
    method: str,
    path: str,
    body: object = None,
    *,
    params: Params | None = None,
    etag: str | None = None,
) -> D:
    """Ask the lab for something that is answered with one document of a kind."""
    answer = link.api.ask(method, path, body, params=params, etag=etag)
    return make_document(kind, answer.document, link, answer.etag)


def make_document(kind: type[D], document: object, link: Link, etag: str | None = None) -> D:
    """Turn the server's JSON into a document; fields that this version does not know are ignored.

    Raises ServerError if a field is missing or of a wrong type.
    """
    try:
        made = msgspec.convert(document, kind)
    except msgspec.ValidationError as exc:
        raise ServerError(f"the answer of {link.api.url} is not a {kind.__name__}: {exc}") from exc
    tie(made, document, link, etag)
    return made


def tie(made: Document, document: Any, link: Link, etag: str | None = None) -> None:
    """Tie to the lab what was made from a part of its answer."""
    made.__dict__.update(document_=document, link_=link, seen_=Seen(etag, document))
