"""Times of benchmarks, always of the same interpreter: how far two runs on a host differ, and when the host drifts."""

from benchyard.steps.kinds.kind import Kind, measuring

KIND = Kind(
    name="calibrate",
    meaning="the host itself, by the times of the target's pinned interpreter",
    command="run-benchmarks",
    arguments=measuring,
    pinned=True,
)
