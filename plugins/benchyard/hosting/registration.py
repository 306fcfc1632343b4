"""How a host joins: a file in `hosts.d` and a secret of its own."""

import fcntl
import json
import os
import re
import secrets
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from benchyard.results.patterns import END

HOSTS_DIR = "hosts.d"
SECRETS_DIR = "secrets"

#: Hosts and targets become names of workers and builders, which Buildbot wants to begin so, file names, and fields of
#: result names.
NAME_RULE = "1 to 40 letters, digits, `_` or `-`, starting with a letter"
NAME = r"[A-Za-z][A-Za-z0-9_-]{0,39}"
NAME_PATTERN = f"^{NAME}{END}"
#: Groups of the inventory for Ansible: whoever asked there for a host of such a name would get all of the group.
RESERVED = frozenset({"all", "ungrouped", "masters", "workers", "isolated", "lab-master"})
#: How the group of a target begins whose own name is that of something else.
GROUP_PREFIX = "target_"

#: What a host's file need not say, with what it means where it does not.
DEFAULTS: Mapping[str, object] = {
    "cpus": "",
    "tune": True,
    "shield": True,
    "guard": "warn",
    "guard_wait_s": 60.0,
    "ansible_user": "",
    "connection": "",
}
_NAME = re.compile(NAME)


class HostExists(Exception):
    """A host of this name is in the lab already."""


def is_name(text: str) -> bool:
    """Whether `text` may name a host or a target."""
    return _NAME.fullmatch(text) is not None


def is_reserved(name: str) -> bool:
    """Whether the inventory for Ansible needs a name for itself."""
    return name.lower() in RESERVED or name.lower().startswith(GROUP_PREFIX)


def secret_path(lab_dir: Path, host: str) -> Path:
    """The file with a host's password for the master."""
    return lab_dir / SECRETS_DIR / f"worker-{host}"


def register_host(lab_dir: Path, name: str, **fields: object) -> str:
    """Write a host's secret and then its file, so that no file is ever without its secret; returns the secret.

    `fields` are the keys of its file: `role`, `target`, `address`, and what is in DEFAULTS.

    ValueError if `name` is none by `is_name`; HostExists if it is taken, in whatever spelling of capitals.
    """
    if not is_name(name):
        raise ValueError(f"{name!r} cannot name a host; choose {NAME_RULE}")
    with _locked(lab_dir / HOSTS_DIR):
        if any(path.stem.lower() == name.lower() for path in (lab_dir / HOSTS_DIR).glob("*.toml")):
            raise HostExists(f"the lab has a host {name!r} already; choose another name")
        secret = secrets.token_urlsafe(32)
        write_secret(secret_path(lab_dir, name), secret)
        write_host(lab_dir, name, **fields)
    return secret


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """One registration at a time, by a lock on the folder itself: a crash leaves nothing of it behind."""
    folder.mkdir(parents=True, exist_ok=True)
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def write_host(lab_dir: Path, name: str, **fields: object) -> None:
    """Write a host's file; of the one before stays what is not given here, and what means nothing is left out."""
    path = lab_dir / HOSTS_DIR / f"{name}.toml"
    said = {key: value for key, value in {**_known(path), **fields}.items() if DEFAULTS.get(key) != value}
    _write_whole(path, "".join(f"{key} = {json.dumps(value)}\n" for key, value in said.items()), 0o644)


def _known(path: Path) -> dict[str, object]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}


def forget_host(lab_dir: Path, name: str) -> None:
    """Take back a registration."""
    (lab_dir / HOSTS_DIR / f"{name}.toml").unlink(missing_ok=True)
    secret_path(lab_dir, name).unlink(missing_ok=True)


def write_secret(path: Path, secret: str) -> None:
    """Write a secret that only the lab's own user may read."""
    _write_whole(path, secret + "\n", 0o600)


def _write_whole(path: Path, text: str, mode: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.part")
    partial.unlink(missing_ok=True)
    with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)
