"""Buildbot's workers: one for each host, and those in the master, for the jobs' own builds and for playbooks."""

from typing import Any

from benchyard.config.builders import coordinators
from benchyard.config.names import maintainer
from benchyard.config.settings import Settings, SettingsError
from benchyard.hosting.registration import HOSTS_DIR, secret_path


def make_workers(settings: Settings) -> list[Any]:
    """All workers of the lab."""
    from buildbot.plugins import worker

    workers: list[Any] = [
        worker.LocalWorker(name, max_builds=1)
        for target in settings.targets
        for name in (*coordinators(settings, target), maintainer(target))
    ]
    for name, host in settings.hosts.items():
        isolated = host.role == "isolated"
        workers.append(worker.Worker(name, _secret(settings, name), max_builds=1 if isolated else None))
    return workers


def _secret(settings: Settings, host: str) -> str:
    path = secret_path(settings.directory, host)
    try:
        secret = path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as exc:
        raise SettingsError(
            f"{path}: the secret of host {host!r} cannot be read; write one there or remove {HOSTS_DIR}/{host}.toml"
        ) from exc
    if len(secret) < 16:
        raise SettingsError(f"{path}: shorter than 16 characters; write a longer secret there and on the host")
    return secret
