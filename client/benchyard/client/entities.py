"""What all entities share: made from the server's JSON, tied to the client they came from.

The tie and the JSON are kept beside the fields, so that two answers that say the same are equal, and an
entity that is printed, pickled or made into JSON shows neither.
"""

from typing import Any, TypeVar

import msgspec

from benchyard.client.errors import ClientError, ServerError
from benchyard.client.http import Api
from benchyard.client.waiting import Polling

E = TypeVar("E", bound="Entity")


class Link(msgspec.Struct, frozen=True):
    """The way back to the lab: its REST interface and how often to ask when waiting."""

    api: Api
    polling: Polling


class Entity(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """A thing of the lab as it was when it was asked for; refresh() and get() bring its later states."""

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


def make_entity(kind: type[E], document: object, link: Link) -> E:
    """Turn the server's JSON into an entity; fields that this version does not know are ignored.

    Raises ServerError if a field is missing or of a wrong type.
    """
    try:
        entity = msgspec.convert(document, kind)
    except msgspec.ValidationError as exc:
        raise ServerError(f"the answer of {link.api.url} is not a {kind.__name__}: {exc}") from exc
    entity.__dict__.update(document_=document, link_=link)
    return entity
