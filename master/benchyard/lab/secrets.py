"""Secrets that people give to their lab: each a file of its own, which the lab's own user alone may read."""

import re
from collections.abc import Callable
from pathlib import Path

from benchyard.config.settings import SETTINGS_FILE
from benchyard.hosting.registration import NAME, SECRETS_DIR, write_secret
from benchyard.lab.errors import LabError

#: What has secrets, by the beginning of their names; the rest is the name of a table in the settings.
OWNERS = ("publish", "notify")

_NAME = re.compile(f"({'|'.join(OWNERS)})-{NAME}")


def keep_secret(root: Path, name: str, read: Callable[[], str]) -> Path:
    """Keep in a lab's folder the secret that `read` gives; LabError where there is no lab, or no such secret."""
    if not (root / SETTINGS_FILE).is_file():
        raise LabError(f"{root} is no lab's folder: it has no {SETTINGS_FILE}")
    if _NAME.fullmatch(name) is None:
        known = " or ".join(f"{owner}-NAME for [{owner}.NAME]" for owner in OWNERS)
        raise LabError(f"{name!r} is no secret of a lab's; they are called {known}")
    path = root / SECRETS_DIR / name
    try:
        write_secret(path, read())
    except OSError as exc:
        raise LabError(f"{path} cannot be written: {exc.strerror or exc}") from exc
    return path
