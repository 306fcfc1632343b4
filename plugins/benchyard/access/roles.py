"""The three roles, each of which may do what the one before may."""

from enum import IntEnum


class Role(IntEnum):
    """`viewer` reads, `member` submits and handles own jobs, `admin` does everything; ANYONE has not logged in."""

    ANYONE = 0
    VIEWER = 1
    MEMBER = 2
    ADMIN = 3

    @classmethod
    def named(cls, name: str) -> "Role":
        """The role that a user's row names."""
        return cls[name.upper()]

    def includes(self) -> list[str]:
        """The names of this role and of all below it, as Buildbot's rules use them."""
        return [role.name.lower() for role in Role if Role.ANYONE < role <= self]
