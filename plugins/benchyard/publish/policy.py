"""What may be published: the settings' word on each result, and then the destination's own.

It binds people as it binds the lab, and is asked twice: when an upload is filed, and again when it is sent, as results
and settings may have changed meanwhile.
"""

from collections.abc import Iterator, Sequence

from benchyard.publish.destinations import Destination
from benchyard.publish.settings import Policy
from benchyard.store.rows import BENCHMARKS, Result

#: Among a policy's flags: builds with no flags at all.
NO_FLAGS = "none"


def refusal(policy: Policy, destination: Destination, result: Result) -> str | None:
    """Why a result may not go to a destination, in one line; None where it may."""
    return next(_reasons(policy, result), None) or destination.refusal(result)


def _reasons(policy: Policy, result: Result) -> Iterator[str]:
    number = f"result {result.id}"
    if result.status != "stored":
        yield f"{number} is {result.status}"
    if not result.enabled:
        yield f"{number} is disabled; enable it first"
    if result.path is None:
        yield f"{number} has no file yet"
    if result.kind != BENCHMARKS:
        yield f"{number} is of kind {result.kind!r}; only times of benchmarks are published"
    if not result.benchmarks:
        yield f"{number} has no values"
    interpreter = result.interpreter or {}
    named = (
        ("grade", result.grade, policy.grades),
        ("target", result.target, policy.targets),
        ("branch", result.branch, policy.branches),
        ("remote", interpreter.get("remote"), policy.remotes),
        ("owner", result.owner or None, policy.users),
    )
    for what, found, wanted in named:
        if wanted and found not in wanted:
            yield _not_wanted(number, what, found, wanted)
    allowed = set(policy.flags) - {NO_FLAGS}
    other = sorted(set(result.flags) - allowed) if policy.flags else []
    if other:
        yield _not_wanted(number, "flags", ", ".join(other), policy.flags)
    if interpreter.get("patch") and not policy.patched:
        yield f"{number} is of a patched interpreter, and those are not published there"


def _not_wanted(number: str, what: str, found: str | None, wanted: Sequence[str]) -> str:
    has = f"has the {what} {found}" if found else f"has no {what}"
    return f"{number} {has}; published there are: {', '.join(wanted)}"
