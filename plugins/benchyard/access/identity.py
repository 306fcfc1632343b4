"""Who somebody is once they have shown who they are."""

from typing import NamedTuple

from benchyard.access.roles import Role


class Identity(NamedTuple):
    """A user as they come here: `role` is at most VIEWER by a read-only token, which may change nothing at all.

    Not even what every viewer may change, such as to make a token of their own: that one would not be read-only.
    """

    name: str
    role: Role
    read_only: bool = False
