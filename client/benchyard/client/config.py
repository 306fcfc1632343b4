"""The user's configuration: which lab is the default, and the token of each lab.

One TOML file, `$BENCHYARD_CONFIG` or `benchyard/config.toml` in the user's configuration directory,
readable by its owner alone because tokens are in it:

    default = "http://lab.example:8010"

    [labs."http://lab.example:8010"]
    user = "anna"
    token = "..."

The environment wins over the file: BENCHYARD_URL names the lab, BENCHYARD_TOKEN is the token for it.
"""

import json
import os
import tempfile
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from benchyard.client.errors import ConfigError

SCHEMES = ("http", "https")
LONGEST_SHOWN = 80


@dataclass(frozen=True)
class Login:
    """A lab and who we are there; the token is kept out of the repr because reprs end up in logs."""

    url: str
    user: str | None = None
    token: str | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Config:
    """The content of the configuration file: the default lab's URL and the logins by URL."""

    default: str | None = None
    logins: Mapping[str, Login] = field(default_factory=dict)


def config_path() -> Path:
    """Return where the configuration is: `$BENCHYARD_CONFIG`, else below `$XDG_CONFIG_HOME` or ~/.config."""
    if named := os.environ.get("BENCHYARD_CONFIG"):
        return Path(named)
    # A relative XDG_CONFIG_HOME is to be ignored, says the XDG base directory specification.
    base = Path(os.environ.get("XDG_CONFIG_HOME", ""))
    return (base if base.is_absolute() else Path.home() / ".config") / "benchyard" / "config.toml"


def normal_url(url: str) -> str:
    """Return the address of a lab in its one form, without trailing slash, query and fragment.

    An address copied from the browser (".../#/builders") is fine. One that holds a user or a password is
    refused, as addresses are printed and logged.
    """
    text = url.strip()
    if "@" in text:
        raise ConfigError("a lab's address may not hold a user or a password; use `benchyard login`")
    try:
        parts = urlsplit(text)
        usable = parts.scheme in SCHEMES and parts.hostname and parts.port != 0 and text.isprintable()
    except ValueError:  # half an IPv6 address, or a port that is no number
        usable = False
    if not usable:
        shown = text if len(text) <= LONGEST_SHOWN else text[:LONGEST_SHOWN] + "..."
        raise ConfigError(f"{shown!r} is not a lab's address; it looks like http://lab.example:8010")
    return urlunsplit((parts.scheme, parts.netloc.lower(), parts.path.rstrip("/"), "", ""))


def check_token(token: str) -> str:
    """Return the token without white space around it, or raise ConfigError if it cannot be one.

    Checked here, since the HTTP library would name the whole header in its complaint.
    """
    token = token.strip()
    if not token:
        raise ConfigError("the token is empty")
    if not all("!" <= character <= "~" for character in token):
        raise ConfigError("the token has characters that no token has: was it copied whole?")
    return token


def load_config(path: Path | None = None) -> Config:
    """Read the configuration file; one that does not exist is an empty configuration."""
    path = path or config_path()
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            data = tomllib.load(file)
    except FileNotFoundError:
        return Config()
    except OSError as exc:
        raise ConfigError(f"{path} cannot be read: {exc.strerror}") from exc
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as exc:
        raise ConfigError(f"{path} is not a TOML file: {exc}") from exc
    config = _to_config(data, path)
    if os.name == "posix" and mode & 0o077 and any(login.token for login in config.logins.values()):
        raise ConfigError(f"{path} holds a token that others can read: chmod 600 {path}")
    return config


def load_login(url: str | None = None, *, path: Path | None = None, config: Config | None = None) -> Login:
    """Return the lab to talk to and the token for it.

    The URL is the argument, else BENCHYARD_URL, else the default of the file. BENCHYARD_TOKEN wins over the
    file, but is never sent to another lab than BENCHYARD_URL where both are set. `config` stands in for the
    file. Raises ConfigError if no lab is named.
    """
    from_environment = os.environ.get("BENCHYARD_URL") or None
    config = config if config is not None else load_config(path)
    chosen = url or from_environment or config.default
    if chosen is None:
        raise ConfigError("no lab is named; name one with --url or BENCHYARD_URL, or use `benchyard login URL`")
    chosen = normal_url(chosen)
    login = config.logins.get(chosen, Login(chosen))
    token = os.environ.get("BENCHYARD_TOKEN")
    if token and (from_environment is None or normal_url(from_environment) == chosen):
        login = replace(login, user=None, token=check_token(token))
    return login


def save_login(url: str, user: str | None, token: str, *, path: Path | None = None, default: bool = True) -> Login:
    """Keep the token of a lab in the configuration file and make the lab the default one.

    The file is replaced atomically, mode 600, in a directory that is made with mode 700.
    """
    path = path or config_path()
    config = load_config(path)
    login = Login(normal_url(url), user, check_token(token))
    chosen = login.url if default or config.default is None else config.default
    _write(path, _to_toml(Config(chosen, {**config.logins, login.url: login})))
    return login


def _to_config(data: dict[str, Any], path: Path) -> Config:
    labs = data.get("labs", {})
    default = data.get("default")
    if not isinstance(labs, dict) or not all(isinstance(lab, dict) for lab in labs.values()):
        raise ConfigError(f'{path}: labs are tables, [labs."URL"]')
    texts = [default, *(lab.get(key) for lab in labs.values() for key in ("user", "token"))]
    if not all(text is None or isinstance(text, str) for text in texts):
        raise ConfigError(f"{path}: default, user and token are texts in quotes")
    try:
        logins = [
            Login(normal_url(url), lab.get("user"), check_token(lab["token"]) if lab.get("token") else None)
            for url, lab in labs.items()
        ]
    except ConfigError as exc:
        raise ConfigError(f"{path}: {exc}") from exc
    return Config(default, {login.url: login for login in logins})


def _to_toml(config: Config) -> str:
    """Write the configuration as TOML; a JSON string of printable text is a TOML string as well."""
    lines = ["# Written by `benchyard login`. Tokens are secrets: keep this file to yourself."]
    if config.default:
        lines.append(f"default = {json.dumps(config.default)}")
    for url, login in sorted(config.logins.items()):
        lines += ["", f"[labs.{json.dumps(url)}]"]
        lines += [
            f"{key} = {json.dumps(value)}" for key, value in (("user", login.user), ("token", login.token)) if value
        ]
    return "\n".join(lines) + "\n"


def _write(path: Path, text: str) -> None:
    path = path.resolve()
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(prefix=".config-", dir=path.parent)  # mkstemp makes it with mode 600
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            Path(name).replace(path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
    except OSError as exc:
        raise ConfigError(f"{path} cannot be written: {exc.strerror}") from exc
