"""`benchyard lab init`, and what it does to the user's configuration."""

import socket
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from benchyard.client import Login, load_login, save_login
from benchyard.client.config import load_config
from benchyard.hosting.registration import register_host, secret_path

if TYPE_CHECKING:
    from tests.cli.conftest import Run


def a_free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def test_the_new_lab_is_the_default(run_program: "Run", tmp_path: Path) -> None:
    """`lab init` makes the new lab the default, says so and which one was, and keeps the other labs' tokens."""
    other = save_login("http://other.example:8010", "bob", "others-token")
    port = a_free_port()
    ran = run_program("lab", "init", str(tmp_path / "lab"), "--no-isolated", "--http-port", str(port))
    assert (ran.status, ran.err) == (0, "")
    url = f"http://127.0.0.1:{port}"
    told = f"commands  from here on go to this lab (and no longer to {other.url}), unless told another by --url\n"
    assert told in ran.out
    config = load_config()
    assert config.default == url and config.logins[other.url] == other
    token = load_login().token
    assert token and token not in ran.out


def test_a_replaced_token_is_told(run_program: "Run", tmp_path: Path) -> None:
    """Where another lab's token was kept for the same address, `lab init` says that it is replaced; --json is JSON."""
    port = a_free_port()
    before = save_login(f"http://127.0.0.1:{port}", "bob", "old-token")
    ran = run_program("lab", "init", str(tmp_path / "lab"), "--no-isolated", "--http-port", str(port), "--json")
    assert ran.status == 0
    assert ran.err == f"The token of bob that you had for another lab at {before.url} is replaced by this lab's.\n"
    assert (ran.json["url"], ran.json["user"], ran.json["isolated"]) == (before.url, "admin", None)
    assert Path(ran.json["password_file"]).is_file()
    assert load_login() == Login(before.url, "admin", load_login().token) != before


def test_a_broken_configuration_is_told_first(run_program: "Run", tmp_path: Path, config_file: Path) -> None:
    """With a configuration that cannot be read no lab is made, as its token could not be kept."""
    config_file.parent.mkdir()
    config_file.write_text("default = ")
    ran = run_program("lab", "init", str(tmp_path / "lab"))
    assert ran.status == 1 and "is not a TOML file" in ran.err and ran.err.count("\n") == 1
    assert not (tmp_path / "lab").exists()


def test_json_needs_an_end(run_program: "Run", tmp_path: Path) -> None:
    """`lab up --json` without --detach is wrong usage, as for `worker up`."""
    for group in ("lab", "worker"):
        ran = run_program(group, "up", str(tmp_path), "--json")
        assert ran.status == 2 and "--json goes with --detach" in ran.err


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("x", "this is no URL of a database; write it like postgresql+psycopg://user@host/database"),
        ("mysql://a@b/c", "not mysql; write it like postgresql+psycopg://user@host/database"),
        ("postgresql+psycopg://u:secret@h/d", "a password there is seen by all users of this machine"),
        ("postgresql+nix://u@h/d", "there is no such driver"),
        ("postgresql+psycopg2://u@h/d", "psycopg2 is not installed; pip install 'benchyard[postgresql]'"),
        ("postgresql+psycopg://u@127.0.0.1:1/d", "the database cannot be reached: connection"),
    ],
)
def test_a_database_that_cannot_be_used(run_program: "Run", tmp_path: Path, url: str, told: str) -> None:
    """What is wrong with a database is told in one line, without a password, and no lab is made."""
    ran = run_program("lab", "init", str(tmp_path / "lab"), "--db-url", url)
    assert ran.status == 1 and told in ran.err and ran.err.count("\n") == 1
    assert "secret" not in ran.err
    assert not (tmp_path / "lab").exists()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """What there must be of a lab to keep a secret in."""
    folder = tmp_path / "lab"
    (folder / "secrets").mkdir(parents=True)
    (folder / "benchyard.toml").write_text("[targets.linux]\n")
    return folder


def test_a_secret_is_kept(run_program: "Run", folder: Path, tmp_path: Path) -> None:
    """`lab secret` keeps what a file has in its first line, for the lab's own user alone, and does not show it."""
    (tmp_path / "token").write_text("geheim und lang\nmore\n")
    path = folder / "secrets" / "publish-speed"
    for _again in range(2):
        ran = run_program("lab", "secret", "publish-speed", str(folder), "--file", str(tmp_path / "token"))
        assert (ran.status, ran.out) == (0, f"secret publish-speed: kept in {path}\n")
        assert (path.read_text(), path.stat().st_mode & 0o777) == ("geheim und lang\n", 0o600)
    ran = run_program("lab", "secret", "publish-speed", str(folder), "--file", str(tmp_path / "token"), "--json")
    assert ran.json == {"name": "publish-speed", "path": str(path)}


@pytest.mark.parametrize("name", ["speed", "publish-", "publish-../x", "worker-bench", "publish-a b"])
def test_what_is_no_secret(run_program: "Run", folder: Path, tmp_path: Path, name: str) -> None:
    """A name that is none of a secret is refused, before one is asked for; so is a folder that is no lab's."""
    ran = run_program("lab", "secret", name, str(folder))
    assert ran.status == 1 and ran.err.count("\n") == 1
    assert f"{name!r} is no secret of a lab's; they are called publish-NAME for [publish.NAME]" in ran.err
    ran = run_program("lab", "secret", "publish-speed", str(tmp_path))
    assert (ran.status, list((folder / "secrets").iterdir())) == (1, [])
    assert "is no lab's folder: it has no benchyard.toml" in ran.err


def test_a_secret_needs_somebody_to_ask(run_program: "Run", folder: Path) -> None:
    """Without a terminal and without --file it is wrong usage, with the option that helps."""
    ran = run_program("lab", "secret", "publish-speed", str(folder))
    assert ran.status == 2 and "use --file FILE or -" in ran.err


SCHEDULE = '[schedules.n]\ncron = "0 3 * * *"\ntargets = ["linux"]\npython = "/p"\n'


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        (SCHEDULE.replace("0 3 * * *", "0 0 30 2 *"), "[schedules.n] cron = '0 0 30 2 *': no year has such a day"),
        (SCHEDULE + 'benchmarks = ["nbdoy"]\n', "[schedules.n] benchmarks: "),
        (
            '[notify.r]\nkind = "reporter"\nreporter = "Pigeon"\n',
            "[notify.r] reporter: Buildbot has no reporter 'Pigeon'",
        ),
    ],
)
def test_settings_that_no_master_takes(
    run_program: "Run", folder: Path, tmp_path: Path, settings: str, told: str
) -> None:
    """`lab check` refuses in one line what the master would refuse, naming the file; it makes nothing."""
    file = tmp_path / "new.toml"
    file.write_text("[targets.linux]\n" + settings)
    ran = run_program("lab", "check", str(folder), "--settings", str(file))
    assert (ran.status, ran.out, ran.err.count("\n")) == (1, "", 1), ran.err
    assert ran.err.startswith(f"benchyard: {file}: {told}"), ran.err
    assert sorted(path.name for path in folder.iterdir()) == ["benchyard.toml", "secrets"]


@pytest.fixture
def with_host(folder: Path) -> Path:
    """The same with a host that measures."""
    register_host(folder, "bench", role="isolated", target="linux", address="localhost")
    return folder


def test_a_host_without_its_secret(run_program: "Run", with_host: Path) -> None:
    """`lab check` looks at the lab's own settings and hosts, and says which secret is missing."""
    ran = run_program("lab", "check", str(with_host), "--json")
    assert ran.json == {"hosts": ["bench"], "targets": ["linux"]}, ran.err
    secret_path(with_host, "bench").unlink()
    ran = run_program("lab", "check", str(with_host))
    assert ran.status == 1 and "the secret of host 'bench' cannot be read; write one there or remove" in ran.err


def test_what_only_buildbot_refuses(run_program: "Run", with_host: Path) -> None:
    """`lab check` has Buildbot look as well: here two schedulers would have one name."""
    file = with_host / "benchyard.toml"
    when = 'cron = "0 3 * * *"\ntargets = ["linux"]\n'
    schedules = f'[schedules.c]\nkind = "calibrate"\n{when}[schedules.c-bench]\npython = "/p"\n{when}'
    file.write_text(f'[targets.linux]\ncalibration = {{python = "/p"}}\n{schedules}')
    ran = run_program("lab", "check", str(with_host))
    assert ran.status == 1, ran.out
    assert ran.err == f"benchyard: {file}: scheduler name 'nightly-c-bench' used multiple times\n"
