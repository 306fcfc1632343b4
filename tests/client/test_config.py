"""The user's configuration file."""

import os
import stat
from pathlib import Path

import pytest

from benchyard.client import Client, ConfigError, Login, load_login, save_login
from benchyard.client.config import config_path, load_config, normal_url

URL = "http://lab.example:8010"


def test_a_login_comes_back(config_file: Path) -> None:
    """What was saved is loaded, by its URL and as the default."""
    save_login(URL + "/", "anna", "secret-1")
    assert load_login() == load_login(URL) == Login(URL, "anna", "secret-1")


def test_several_labs(config_file: Path) -> None:
    """Each lab keeps its own token, the last login is the default, and an unknown lab has none."""
    save_login(URL, "anna", "secret-1")
    save_login("https://other.example", None, "secret-2")
    assert load_login() == Login("https://other.example", None, "secret-2")
    assert load_login(URL).token == "secret-1"
    assert load_login("http://third.example") == Login("http://third.example")


def test_only_the_owner_can_read(config_file: Path) -> None:
    """The file has mode 600 in a directory of mode 700, whatever the umask; no other file is left."""
    before = os.umask(0)
    try:
        save_login(URL, "anna", "secret-1")
        save_login(URL, "anna", "secret-2")
    finally:
        os.umask(before)
    assert stat.S_IMODE(config_file.stat().st_mode) == 0o600
    assert stat.S_IMODE(config_file.parent.stat().st_mode) == 0o700
    assert [path.name for path in config_file.parent.iterdir()] == ["config.toml"]


def test_a_token_that_others_can_read_is_refused(config_file: Path) -> None:
    """A file with a token that others can read is an error that says how to mend it."""
    save_login(URL, "anna", "secret-1")
    config_file.chmod(0o644)
    with pytest.raises(ConfigError, match=f"chmod 600 {config_file}") as caught:
        load_login()
    assert "secret-1" not in str(caught.value)


def test_the_environment_wins(config_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """BENCHYARD_URL and BENCHYARD_TOKEN stand before the file."""
    save_login(URL, "anna", "secret-1")
    monkeypatch.setenv("BENCHYARD_TOKEN", "secret-2")
    assert load_login() == Login(URL, None, "secret-2")
    monkeypatch.setenv("BENCHYARD_URL", "http://other.example/")
    assert load_login() == Login("http://other.example", None, "secret-2")


def test_a_token_does_not_go_to_another_lab(config_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The token of the environment is for the lab of the environment: a --url elsewhere does not get it."""
    monkeypatch.setenv("BENCHYARD_URL", URL)
    monkeypatch.setenv("BENCHYARD_TOKEN", "secret-2")
    assert load_login("http://elsewhere.example").token is None


def test_a_client_takes_the_configuration(config_file: Path) -> None:
    """A Client without URL is one of the default lab; a Config given to it stands in for the file."""
    save_login(URL, "anna", "secret-1")
    with Client() as client:
        assert client.url == URL
    config = load_config()
    config_file.unlink()
    with Client(None, config) as client:
        assert client.url == URL


def test_no_lab_is_named(config_file: Path) -> None:
    """Without any lab the error says how to name one."""
    with pytest.raises(ConfigError, match=r"--url or BENCHYARD_URL, or use `benchyard login URL`"):
        load_login()


@pytest.mark.parametrize(
    "text",
    ["not toml", "default = 7", "labs = 7", "[labs.x]", '[labs."http://a.example"]\ntoken = 7', "labs.x = 7"],
)
def test_a_file_that_is_none_of_ours(config_file: Path, text: str) -> None:
    """A file that cannot be understood is one error line that names it."""
    config_file.parent.mkdir()
    config_file.write_text(text)
    with pytest.raises(ConfigError, match=str(config_file)) as caught:
        load_login()
    assert "\n" not in str(caught.value)


def test_a_file_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A place where nothing can be written is an error that names it."""
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("BENCHYARD_CONFIG", str(tmp_path / "file" / "config.toml"))
    with pytest.raises(ConfigError, match=r"config\.toml cannot be"):
        save_login(URL, "anna", "secret-1")


@pytest.mark.parametrize(
    ("given", "normal"),
    [
        ("http://Lab.Example:8010/", URL),
        ("http://lab.example:8010/#/builders/3", URL),
        (" https://lab.example/bench/ ", "https://lab.example/bench"),
        ("http://[::1]:8010", "http://[::1]:8010"),
    ],
)
def test_addresses_have_one_form(given: str, normal: str) -> None:
    """An address as people paste it becomes the one form under which its token is kept."""
    assert normal_url(given) == normal


@pytest.mark.parametrize(
    "url", ["lab.example:8010", "ftp://lab.example", "", "http://", "http://[::1", "http://lab.example:port"]
)
def test_what_is_no_address(url: str) -> None:
    """What cannot be a lab's address is refused with an example of one."""
    with pytest.raises(ConfigError, match="it looks like http://"):
        normal_url(url)


def test_an_address_with_a_password_is_refused() -> None:
    """A password in an address is refused, and not repeated."""
    with pytest.raises(ConfigError) as caught:
        normal_url("http://anna:hunter2@lab.example")
    assert "hunter2" not in str(caught.value)


def test_the_token_is_not_in_the_repr() -> None:
    """A login can be logged."""
    assert "secret-1" not in repr(Login(URL, "anna", "secret-1"))


def test_the_place_of_the_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without BENCHYARD_CONFIG it is in XDG_CONFIG_HOME, and in ~/.config if that is not absolute."""
    monkeypatch.delenv("BENCHYARD_CONFIG")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    assert config_path() == tmp_path / "benchyard" / "config.toml"
    monkeypatch.setenv("XDG_CONFIG_HOME", "relative")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert config_path() == tmp_path / ".config" / "benchyard" / "config.toml"
