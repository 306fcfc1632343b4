"""Buildbot steps: each a thin shell over a task of `benchyard.tasks` or a function of the store and the results."""
