"""The master's configuration: one function from the lab's directory to Buildbot's dictionary."""

from pathlib import Path
from typing import Any


def build_master_config(basedir: str) -> dict[str, Any]:
    """Buildbot's configuration for the master in `basedir`, which is the folder `master` of its lab."""
    from benchyard.config.master import master_config
    from benchyard.config.settings import SettingsError, load_settings

    try:
        return master_config(load_settings(Path(basedir).resolve().parent))
    except SettingsError as exc:
        from buildbot.config import ConfigErrors

        raise ConfigErrors([str(exc)]) from exc
