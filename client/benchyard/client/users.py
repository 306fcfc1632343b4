"""Users and their tokens: the collection `client.users`, and `user.tokens`."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any, ClassVar, Literal

import msgspec

from benchyard.client.entities import Document, Entity, Link, ask
from benchyard.client.http import segment
from benchyard.client.paging import Collection, Pages, pages

UserRole = Literal["viewer", "member", "admin"]


class User(Entity, frozen=True, kw_only=True):
    """Somebody who may use the lab; status active or removed, role viewer, member or admin.

    `mail` is the address that notices for the user are sent to; empty if there is none.
    """

    name: str
    id: str = ""
    role: str = "viewer"
    mail: str = ""

    collection_: ClassVar[str] = "users"

    @property
    def key_(self) -> str:
        return self.name

    @property
    def tokens(self) -> "Tokens":
        """The user's tokens, which are for themselves and for admins to see."""
        return Tokens(self.link, self.name)

    def modify(
        self,
        *,
        role: UserRole | msgspec.UnsetType = msgspec.UNSET,
        password: str | msgspec.UnsetType = msgspec.UNSET,
        mail: str | msgspec.UnsetType = msgspec.UNSET,
        expect: bool = True,
    ) -> "User":
        """Change the role (as an admin), the password or the mail address, which an empty text takes away.

        Stale if the same was changed meanwhile.
        """
        return self._modified({"role": role, "password": password, "mail": mail}, expect=expect)

    def remove(self) -> None:
        """Remove the user, whose tokens end; jobs and results keep the name, which nobody can take again."""
        super().remove()

    def try_secret(self) -> str:
        """Return a new secret for `buildbot try`; it is not shown again, and the one before it ends."""
        return ask(TrySecret, self.link, "POST", f"{self.path_}/try-secret").secret


class TrySecret(Document, frozen=True, kw_only=True):
    """The secret with which a user's `buildbot try` answers the master; kept out of the repr."""

    secret: str

    def __repr__(self) -> str:
        return "TrySecret()"

    def __rich_repr__(self) -> Any:
        return iter(())


class Token(Document, frozen=True, kw_only=True):
    """A token as it is listed: everything but the token itself."""

    id: int
    name: str = ""
    created: datetime | None = None
    expires: datetime | None = None
    revoked: datetime | None = None
    read_only: bool = False


class NewToken(Token, frozen=True, kw_only=True):
    """A token just made; `token` is told this once only, and kept out of the repr because reprs end up in logs."""

    token: str

    def __repr__(self) -> str:
        return f"NewToken(id={self.id}, name={self.name!r})"

    def __rich_repr__(self) -> Any:
        yield "id", self.id
        yield "name", self.name


class Tokens:
    """The tokens of a user."""

    def __init__(self, link: Link, user: str) -> None:
        self._link = link
        self._path = f"/users/{segment(user)}/tokens"

    def __iter__(self) -> Iterator[Token]:
        return self.list()

    def list(self) -> Pages[Token]:
        """Iterate over the tokens."""
        return pages(Token, self._path, {}, self._link, whole=True)

    def add(self, name: str, *, expires_days: int | None = None, read_only: bool = False) -> NewToken:
        """Make a token; `name` says what it is for, `expires_days` when it ends (None: as the lab has it)."""
        body: dict[str, Any] = {"name": name, "read_only": read_only}
        if expires_days is not None:
            body["expires_days"] = expires_days
        return ask(NewToken, self._link, "POST", self._path, body)

    def remove(self, token: Token | int) -> None:
        """End a token at once."""
        self._link.api.delete(f"{self._path}/{segment(token if isinstance(token, int) else token.id)}")


class Users(Collection[User]):
    """The users of a lab."""

    def list(
        self,
        *,
        role: str | None = None,
        status: str | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> Pages[User]:
        """Iterate over users; of a role, of a status (active, removed) where given."""
        return self._listed({"role": role, "status": status}, limit, cursor)

    def get(self, name: str) -> User:
        """Return the user of this name; NotFound if there is none."""
        return self._get(name)

    @property
    def me(self) -> User:
        """The user of our token."""
        return self._get("me")

    def add(
        self, name: str, *, role: UserRole = "member", password: str | None = None, mail: str | None = None
    ) -> User:
        """Make a user (as an admin); without a password they have tokens only. Conflict if the name is taken."""
        return self._added({"name": name, "role": role, "password": password, "mail": mail})

    def remove(self, name: str) -> None:
        """Remove a user, see User.remove()."""
        self._remove(name)
