"""The three roles."""

import pytest

from benchyard.access.roles import Role
from benchyard.store.rows import ROLES


def test_roles_of_rows_are_known() -> None:
    """Every role that a user's row may name is one of ours, in rising order."""
    assert [Role.named(name) for name in ROLES] == [Role.VIEWER, Role.MEMBER, Role.ADMIN]
    assert Role.ANYONE < Role.VIEWER < Role.MEMBER < Role.ADMIN


@pytest.mark.parametrize(
    ("role", "included"),
    [
        (Role.ANYONE, []),
        (Role.VIEWER, ["viewer"]),
        (Role.MEMBER, ["viewer", "member"]),
        (Role.ADMIN, ["viewer", "member", "admin"]),
    ],
)
def test_role_includes_those_below(role: Role, included: list[str]) -> None:
    """Each role may do what those below it may; who has none may do nothing by Buildbot's rules."""
    assert role.includes() == included


def test_unknown_role() -> None:
    """A role that is none is an error, not nothing."""
    with pytest.raises(KeyError):
        Role.named("root")
