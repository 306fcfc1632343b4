"""What all tests share."""

import os
from collections.abc import Callable, Generator, Iterator
from pathlib import Path

import postgresql
import pytest
import realresults

#: Fixtures of several folders that share one reactor, which a process has but once.
pytest_plugins = ["masters"]


@pytest.fixture(scope="session")
def real_results() -> Path:
    """The folder of the real pyperf result files, which are too large for the repository."""
    try:
        return realresults.find()
    except realresults.NotThere as exc:
        pytest.fail(str(exc), pytrace=False)


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[postgresql.Server]:
    """A PostgreSQL server of the tests' own."""
    with postgresql.running() as server:
        yield server


@pytest.fixture(scope="session")
def new_database(postgresql_server: postgresql.Server) -> Callable[[], str]:
    """A function that makes an empty PostgreSQL database and returns its URL."""
    return postgresql_server.new_database


def _skipped_in_ci(report: pytest.TestReport | pytest.CollectReport) -> bool:
    return os.environ.get("CI") == "true" and report.skipped and not hasattr(report, "wasxfail")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """In CI a skipped test has failed: there everything that a test needs is to be had."""
    report = yield
    if _skipped_in_ci(report):
        report.outcome = "failed"
        report.longrepr = f"skipped, which counts as failed in CI: {report.longrepr}"
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """The same for whole files that are skipped."""
    report = yield
    if _skipped_in_ci(report):
        report.outcome = "failed"
        report.longrepr = f"skipped, which counts as failed in CI: {report.longrepr}"
    return report
