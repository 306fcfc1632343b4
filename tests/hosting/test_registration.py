"""How a host joins."""

import os
import stat
from pathlib import Path

import pytest

from benchyard.config.settings import Host, load_settings
from benchyard.hosting import registration
from benchyard.hosting.registration import HostExists, forget_host, is_name, register_host, secret_path, write_secret


def register(lab_dir: Path, name: str, *, address: str = "localhost", cpus: str = "") -> str:
    return register_host(lab_dir, name, role="isolated", target="linux", address=address, cpus=cpus)


def test_registered_host_is_in_the_settings(lab_dir: Path) -> None:
    """What was registered is what the settings say of the host."""
    register(lab_dir, "bench", address='h"1\\', cpus="2-3")
    expected = Host(role="isolated", target="linux", address='h"1\\', cpus="2-3", name="bench")
    assert load_settings(lab_dir).hosts == {"bench": expected}


def test_what_else_a_file_says_stays(lab_dir: Path) -> None:
    """Written anew with other CPUs, a host's file still says how the host is looked after."""
    register(lab_dir, "bench", cpus="2")
    path = lab_dir / "hosts.d" / "bench.toml"
    path.write_text(path.read_text() + 'guard = "strict"\nguard_wait_s = 5.0\ntune = false\n')
    registration.write_host(lab_dir, "bench", role="isolated", target="linux", address="localhost", cpus="3")
    host = load_settings(lab_dir).hosts["bench"]
    assert (host.cpus, host.guard, host.guard_wait_s, host.tune, host.shield) == ("3", "strict", 5.0, False, True)


def test_secret_is_for_the_lab_only(lab_dir: Path) -> None:
    """The secret is in a file of mode 0600 whatever the umask, long, and another one for each host."""
    before = os.umask(0)
    try:
        secrets = {name: register(lab_dir, name) for name in ("bench", "bench2")}
    finally:
        os.umask(before)
    assert len(set(secrets.values())) == 2
    for name, secret in secrets.items():
        path = secret_path(lab_dir, name)
        assert (path.read_text(encoding="ascii"), stat.S_IMODE(path.stat().st_mode)) == (secret + "\n", 0o600)
        assert len(secret) >= 32
        assert secret not in (lab_dir / "hosts.d" / f"{name}.toml").read_text()


def test_no_host_file_without_its_secret(lab_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When a host's file appears, its secret and its whole content are there; a crash before leaves no host."""
    moved: list[str] = []
    replace = Path.replace

    def watch(self: Path, target: Path) -> Path:
        if target.suffix == ".toml":
            assert secret_path(lab_dir, "bench").read_text().strip()
            raise OSError("disk full")
        moved.append(target.name)
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", watch)
    with pytest.raises(OSError, match="disk full"):
        register(lab_dir, "bench")
    monkeypatch.undo()
    assert moved == ["worker-bench"]
    assert load_settings(lab_dir).hosts == {}
    register(lab_dir, "bench")
    assert list(load_settings(lab_dir).hosts) == ["bench"]


@pytest.mark.parametrize("again", ["bench", "BENCH", "Bench"])
def test_name_is_taken(lab_dir: Path, again: str) -> None:
    """A name that is taken, in whatever capitals, is refused, and the host that has it keeps its secret."""
    secret = register(lab_dir, "bench")
    with pytest.raises(HostExists, match=rf"^the lab has a host '{again}' already; choose another name$"):
        register(lab_dir, again)
    assert secret_path(lab_dir, "bench").read_text().strip() == secret
    assert [path.name for path in (lab_dir / "secrets").iterdir()] == ["worker-bench"]


def test_forgotten_host_may_come_back(lab_dir: Path) -> None:
    """A registration that was taken back leaves nothing; the name is free. To forget twice is no error."""
    first = register(lab_dir, "bench")
    forget_host(lab_dir, "bench")
    forget_host(lab_dir, "bench")
    assert not secret_path(lab_dir, "bench").exists()
    assert load_settings(lab_dir).hosts == {}
    assert register(lab_dir, "bench") != first


def test_left_over_part_is_no_obstacle(lab_dir: Path) -> None:
    """The unfinished file of a crash is overwritten, with a mode of its own."""
    path = secret_path(lab_dir, "bench")
    path.parent.mkdir()
    part = path.with_name(f".{path.name}.part")
    part.write_text("half")
    part.chmod(0o644)
    write_secret(path, "whole")
    assert (path.read_text(), stat.S_IMODE(path.stat().st_mode)) == ("whole\n", 0o600)
    assert not part.exists()


@pytest.mark.parametrize("name", ["a", "Bench_2", "linux-x86_64", "a0", "a" * 40])
def test_names(name: str) -> None:
    """Letters, digits, `_` and `-` make a name."""
    assert is_name(name)


@pytest.mark.parametrize("name", ["", "-a", "_a", "0", "9a", ".a", "a.b", "a/b", "..", "a b", "ä", "a\n", "a" * 41])
def test_what_is_no_name(name: str, tmp_path: Path) -> None:
    """What could leave a folder, or mean something to a shell or a file name's fields, is no name."""
    assert not is_name(name)
    with pytest.raises(ValueError, match="cannot name a host; choose 1 to 40 letters"):
        register_host(tmp_path, name)
    assert list(tmp_path.iterdir()) == []


def test_rule_is_told_in_words() -> None:
    """The rule that messages show says the length that is checked."""
    assert registration.NAME_RULE.startswith("1 to 40 letters")
