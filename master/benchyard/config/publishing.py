"""What must hold of the `[publish.NAME]` tables, the places that results are published at."""

import re
from pathlib import Path
from string import Formatter
from urllib.parse import urlsplit

import msgspec

from benchyard.config.reading import SettingsError, nearest
from benchyard.config.rules import check_name
from benchyard.config.tables import File
from benchyard.hosting.registration import SECRETS_DIR
from benchyard.publish.policy import NO_FLAGS
from benchyard.publish.secrets import secret_name
from benchyard.publish.settings import Codespeed, DestinationSettings, GitHub, GitRepository, Webhook

#: What may be filled in to the name of an executable.
_PLACES = frozenset({"implementation", "flags"})

_AUTHOR = re.compile(r"[^<>\x00-\x1f]*[^<>\x00-\x20] <[^<>\x00-\x20]+>")
_FOLDER = re.compile(r"(?:\w[\w.-]*(?:/\w[\w.-]*)*)?", re.ASCII)

#: What GitHub offers to be copied: `git@github.com:OWNER/NAME.git`.
_BY_SSH = re.compile(r"\w[\w.-]*@\w[\w.-]*:[\w~][\w.~/-]*", re.ASCII)


def check_destination(path: Path, name: str, settings: DestinationSettings, file: File) -> None:
    """Refuse a destination that could not work, or that would never get anything."""
    from benchyard.tasks.errors import RecipeError
    from benchyard.tasks.flags import check_flags

    where = f"{path}: [publish.{name}]"
    check_name(path, f"[publish.{name}]", name)
    for target in settings.targets:
        if target not in file.targets:
            raise SettingsError(f"{where} targets: no target {target!r}{nearest(target, file.targets)}")
    for remote in settings.remotes:
        if remote not in file.remotes:
            raise SettingsError(f"{where} remotes: no remote {remote!r}{nearest(remote, file.remotes)}")
    if NO_FLAGS in settings.flags and len(settings.flags) > 1:
        raise SettingsError(
            f"{where} flags: {NO_FLAGS!r} stands alone; a build without flags is let pass by all others"
        )
    try:
        check_flags([flag for flag in settings.flags if flag != NO_FLAGS])
    except RecipeError as exc:
        raise SettingsError(f"{where} flags: {exc}") from exc
    if isinstance(settings, GitRepository):
        _check_repository(where, settings)
    else:
        _check_address(where, settings)
    if isinstance(settings, Codespeed):
        _check_executable(where, settings.executable)
        if settings.remote and settings.remote not in file.remotes:
            raise SettingsError(
                f"{where} remote: no remote {settings.remote!r}{nearest(settings.remote, file.remotes)}"
            )
    if needs_secret(settings):
        _check_secret(path.parent, where, name)


def complete(settings: DestinationSettings, file: File) -> DestinationSettings:
    """What is left out and is another's setting: a codespeed has the branches of the first remote as its own."""
    if isinstance(settings, Codespeed) and not settings.remote and file.remotes:
        return msgspec.structs.replace(settings, remote=next(iter(file.remotes)))
    return settings


def needs_secret(settings: DestinationSettings) -> bool:
    """Whether a destination cannot be used without its secret."""
    return isinstance(settings, Webhook | GitHub) or (isinstance(settings, Codespeed) and bool(settings.user))


def _check_repository(where: str, settings: GitRepository) -> None:
    from benchyard.tasks.errors import RecipeError
    from benchyard.tasks.git import check_ref, check_url

    try:
        if not settings.url.startswith("/") and _BY_SSH.fullmatch(settings.url) is None:
            check_url(settings.url, "url")
        check_ref(settings.branch, "branch")
    except RecipeError as exc:
        raise SettingsError(f"{where} {exc.field}: {exc}") from exc
    if _FOLDER.fullmatch(settings.folder) is None:
        raise SettingsError(
            f"{where} folder = {settings.folder!r}: must be a path below the repository's root, such as 'a/b', or empty"
        )
    if _AUTHOR.fullmatch(settings.author) is None:
        raise SettingsError(f"{where} author = {settings.author!r}: must be like 'NAME <ADDRESS>'")


def _check_address(where: str, settings: DestinationSettings) -> None:
    key = "api" if isinstance(settings, GitHub) else "url"
    url = str(getattr(settings, key))
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable or not url.isascii() or not url.isprintable() or " " in url:
        raise SettingsError(f"{where} {key}: is no address such as https://HOST/PATH")
    if parts.username is not None or parts.password is not None:
        raise SettingsError(f"{where} {key}: has a user or password in it, which would be shown; keep it as a secret")
    ca_file = getattr(settings, "ca_file", "")
    if ca_file and not (Path(ca_file).is_absolute() and Path(ca_file).is_file()):
        raise SettingsError(f"{where} ca_file = {ca_file!r}: must be the full path of a file with certificates")


def _check_executable(where: str, text: str) -> None:
    try:
        places = {place for _, place, _, _ in Formatter().parse(text) if place is not None}
        if places <= _PLACES:
            text.format(**dict.fromkeys(_PLACES, "-jit"))
    except (LookupError, ValueError) as exc:
        raise SettingsError(f"{where} executable = {text!r}: {exc}") from exc
    if not places <= _PLACES:
        known = ", ".join(f"{{{place}}}" for place in sorted(_PLACES))
        raise SettingsError(f"{where} executable = {text!r}: what may be filled in is {known}")


def _check_secret(directory: Path, where: str, name: str) -> None:
    secret = secret_name(name)
    try:
        given = (directory / SECRETS_DIR / secret).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        given = ""
    if not given:
        raise SettingsError(f"{where}: the lab has no secret {secret}; `benchyard lab secret {secret} {directory}`")
