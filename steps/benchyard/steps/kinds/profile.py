"""Where the time of benchmarks goes: stacks and flame graphs, which are looked at and not compared."""

from benchyard.steps.kinds.kind import Kind, Options, Parts

_FOLDER = "profile"


def _arguments(parts: Parts) -> Options:
    return (*parts.what, "--output", f"{parts.folder}/{_FOLDER}", *parts.report, *parts.cache)


KIND = Kind(
    name="profile",
    meaning="where each benchmark spends its time, as a flame graph",
    command="profile",
    arguments=_arguments,
    result=f"{_FOLDER}/profile.json",
    has_values=False,
    # Tuning lets perf take one sample a second, so that nobody's perf disturbs a measurement.
    tune=False,
    guarded=False,
)
