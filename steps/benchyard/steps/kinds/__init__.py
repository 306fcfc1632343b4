"""The kinds of jobs, one file each: a module here that has a `KIND` adds one, and nothing else needs to know of it."""

import difflib
import importlib
import pkgutil
from functools import cache

from benchyard.steps.kinds.kind import Kind

__all__ = ["Kind", "UnknownKind", "find_kind", "known_kinds"]


class UnknownKind(LookupError):
    """There is no such kind of job; the message names those that there are."""


@cache
def known_kinds() -> dict[str, Kind]:
    """All kinds by their names, in the order of these; what is measured by default comes first."""
    found = (
        getattr(importlib.import_module(f"{__name__}.{module.name}"), "KIND", None)
        for module in pkgutil.iter_modules(__path__)
    )
    kinds = sorted((kind for kind in found if isinstance(kind, Kind)), key=lambda kind: (not kind.default, kind.name))
    return {kind.name: kind for kind in kinds}


def find_kind(name: str) -> Kind:
    """The kind of this name; UnknownKind where there is none."""
    kinds = known_kinds()
    if name in kinds:
        return kinds[name]
    close = difflib.get_close_matches(name, kinds, n=1)
    hint = f"did you mean {close[0]!r}?" if close else f"there are {', '.join(kinds)}"
    raise UnknownKind(f"no kind of job {name[:80]!r}; {hint}")
