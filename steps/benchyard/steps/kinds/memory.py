"""Peaks of memory: they do not depend on clocks, nor on what else the host does, so it is left as it is."""

from benchyard.steps.kinds.kind import Kind, Options, Parts, measuring


def _arguments(parts: Parts) -> Options:
    # The peak is that of a whole process: its loops make no difference, and those of a result of times are others'.
    return (*measuring(parts._replace(loops=())), "--track-memory")


KIND = Kind(
    name="memory",
    meaning="the peak of the memory that each benchmark needs",
    command="run-benchmarks",
    arguments=_arguments,
    tune=False,
    shield=False,
    guarded=False,
)
