"""The secrets of destinations: one file each in the lab's folder of secrets, read each time it is used."""

from pathlib import Path

from benchyard.publish.destinations import TryLater


def secret_name(destination: str) -> str:
    """The name of a destination's secret, which is that of its file."""
    return f"publish-{destination}"


def read_secret(secrets_dir: Path, destination: str) -> str:
    """The secret of a destination; TryLater, with the remedy, where there is none."""
    name = secret_name(destination)
    try:
        secret = (secrets_dir / name).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        secret = ""
    if not secret:
        raise TryLater(f"the lab has no secret {name}; give it one with `benchyard lab secret {name} DIR`")
    return secret
