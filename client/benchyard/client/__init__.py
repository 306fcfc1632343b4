"""The client library: a lab's jobs, results and hosts over HTTP, as typed Python objects.

    from benchyard.client import Client

    with Client("http://lab.example:8010") as client:
        job = client.jobs.add("/opt/python/bin/python3", benchmarks=["nbody"])
        for result_id in job.wait().results:
            print(client.results.get(result_id).path)

It needs httpx and msgspec only: neither Twisted nor Buildbot is imported.
"""

from benchyard.client.client import Client
from benchyard.client.config import Login, load_login, save_login
from benchyard.client.errors import (
    ClientError,
    ConfigError,
    Conflict,
    Forbidden,
    Invalid,
    NotFound,
    ServerError,
    Unauthorized,
    Unavailable,
    WaitTimeout,
)
from benchyard.client.health import Health
from benchyard.client.hosts import AddedHost, Host
from benchyard.client.jobs import Job
from benchyard.client.queues import Queue
from benchyard.client.results import BenchmarkResult, Comparison

__all__ = [
    "AddedHost",
    "BenchmarkResult",
    "Client",
    "ClientError",
    "Comparison",
    "ConfigError",
    "Conflict",
    "Forbidden",
    "Health",
    "Host",
    "Invalid",
    "Job",
    "Login",
    "NotFound",
    "Queue",
    "ServerError",
    "Unauthorized",
    "Unavailable",
    "WaitTimeout",
    "load_login",
    "save_login",
]
