"""The client library: a lab's users, hosts, jobs, queues and results over HTTP, as typed Python objects.

    from benchyard.client import Client

    with Client("http://lab.example:8010") as client:
        job = client.jobs.add("/opt/python/bin/python3", benchmarks=["nbody"])
        for result_id in job.wait().results:
            print(client.results.get(result_id).path)
        client.queue.pause("the room is too warm")

It needs httpx and msgspec only: neither Twisted nor Buildbot is imported.
"""

from benchyard.client.client import Client
from benchyard.client.comparisons import Comparison, Matrix
from benchyard.client.config import Config, Login, load_login, save_login
from benchyard.client.errors import (
    ClientError,
    ConfigError,
    Conflict,
    Forbidden,
    Invalid,
    NotFound,
    ServerError,
    Stale,
    TooMany,
    Unauthorized,
    Unavailable,
    WaitTimeout,
)
from benchyard.client.events import Event
from benchyard.client.health import Health
from benchyard.client.hosts import AddedHost, Host
from benchyard.client.jobs import Job
from benchyard.client.measured import Attachment
from benchyard.client.notices import Notice, Telling
from benchyard.client.queues import ExpectedStart, Queue, QueuedJob, TargetQueue
from benchyard.client.regressions import Regression
from benchyard.client.results import BenchmarkResult
from benchyard.client.series import Series
from benchyard.client.uploads import Destination, Upload
from benchyard.client.users import NewToken, Token, User

__all__ = [
    "AddedHost",
    "Attachment",
    "BenchmarkResult",
    "Client",
    "ClientError",
    "Comparison",
    "Config",
    "ConfigError",
    "Conflict",
    "Destination",
    "Event",
    "ExpectedStart",
    "Forbidden",
    "Health",
    "Host",
    "Invalid",
    "Job",
    "Login",
    "Matrix",
    "NewToken",
    "NotFound",
    "Notice",
    "Queue",
    "QueuedJob",
    "Regression",
    "Series",
    "ServerError",
    "Stale",
    "TargetQueue",
    "Telling",
    "Token",
    "TooMany",
    "Unauthorized",
    "Unavailable",
    "Upload",
    "User",
    "WaitTimeout",
    "load_login",
    "save_login",
]
