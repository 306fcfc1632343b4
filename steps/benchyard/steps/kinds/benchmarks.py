"""Times of benchmarks: what the lab exists for."""

from benchyard.steps.kinds.kind import Kind, measuring

KIND = Kind(
    name="benchmarks",
    meaning="the time that each benchmark takes",
    command="run-benchmarks",
    arguments=measuring,
    default=True,
)
