"""The commands `benchyard task host-tune` and `host-restore`."""

import json
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner, Result
from hosttree import ASLR, BOOT_ID, CPU, TREES, make_tree, snapshot

from benchyard.cli.task import task
from benchyard.tasks.host.tuning import RestoreReport, TuningReport


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Return a host with intel_pstate and four CPUs, two threads a core."""
    return make_tree(tmp_path / "root", TREES["intel_pstate"])


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the state directory that the commands use."""
    path = tmp_path / "state"
    monkeypatch.setenv("BENCHYARD_STATE", str(path))
    return path


def _invoke(name: str, root: Path, *arguments: str) -> Result:
    return CliRunner().invoke(task, [name, "--root", str(root), *arguments])


def _rows(result: Result) -> dict[str, list[str]]:
    rows = [line.split() for line in result.stdout.splitlines()]
    return {row[0]: row[1:] for row in rows}


def test_a_host_is_tuned_and_put_back(root: Path) -> None:
    """A table says knob by knob what was done, from what to what; afterwards all is as before."""
    before = snapshot(root)
    tuned = _invoke("host-tune", root)
    assert (tuned.exit_code, tuned.stderr) == (0, "")
    rows = _rows(tuned)
    assert rows["KNOB"] == ["STATUS", "BEFORE", "AFTER", "DETAIL"]
    assert rows["governor"] == ["done", "powersave", "performance"]
    assert rows["irq-affinity"][0] == "done"
    assert "smt" not in rows
    assert snapshot(root) != before
    restored = _invoke("host-restore", root)
    assert restored.exit_code == 0
    assert _rows(restored)["governor"] == ["restored", "performance", "powersave"]
    assert snapshot(root) == before
    assert _invoke("host-restore", root).output == "nothing is to be put back\n"


def test_reports_are_printed_as_json(root: Path) -> None:
    """With --json both print what the functions return."""
    tuned = _invoke("host-tune", root, "--json", "--cpus", "2-3", "--smt", "--skip", "thp", "--skip", "aslr")
    report = msgspec.json.decode(tuned.output, type=TuningReport)
    assert "smt" in {knob.knob for knob in report.knobs}
    assert not {"thp", "aslr"} & {knob.knob for knob in report.knobs}
    assert (root / f"{CPU}/cpu1/online").read_text() == "0\n"
    assert (root / "proc/irq/2/smp_affinity_list").read_text() == "0-1\n"
    restored = msgspec.json.decode(_invoke("host-restore", root, "--json").output, type=RestoreReport)
    assert {str(knob.status) for knob in restored.knobs} == {"restored"}


@pytest.mark.parametrize("arguments", [(), ("--json",)])
def test_a_knob_that_fails_has_status_1(arguments: tuple[str, ...], root: Path) -> None:
    """The others are set, and the report is whole."""
    (root / ASLR).write_bytes(b"\xff\x1b[2J\n")
    result = _invoke("host-tune", root, *arguments)
    assert result.exit_code == 1
    assert "kernel/randomize_va_space: holds bytes that are no text" in result.stdout
    assert "performance" in result.stdout
    if arguments:
        assert [knob["status"] for knob in json.loads(result.stdout)["knobs"]].count("failed") == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--cpus", "1-"), "bad CPU list '1-'"),
        (("--cpus", "4"), "no CPU 4 on this host; it has 0-3"),
        (("--skip", "turbo"), "there is no knob 'turbo'; knobs are boost, governor,"),
    ],
)
def test_wrong_usage_has_status_2(arguments: tuple[str, ...], message: str, root: Path) -> None:
    """What was typed wrong is named, and nothing is set."""
    before = snapshot(root)
    result = _invoke("host-tune", root, *arguments)
    assert result.exit_code == 2
    assert message in result.output
    assert snapshot(root) == before


def test_what_cannot_be_put_back_has_status_1(root: Path) -> None:
    """Restoring says what is left, tuning refuses in one line until it is gone."""
    _invoke("host-tune", root)
    (root / ASLR).unlink()
    (root / ASLR).mkdir()
    restored = _invoke("host-restore", root)
    assert restored.exit_code == 1
    assert _rows(restored)["aslr"][0] == "failed"
    again = _invoke("host-tune", root)
    message = f"Error: an earlier tuning could not be put back: /{ASLR}; see `benchyard task host-restore`\n"
    assert (again.exit_code, again.output) == (1, message)


def test_a_damaged_journal_is_one_line(root: Path, state: Path) -> None:
    """Neither command guesses what a damaged journal meant."""
    state.mkdir()
    (state / "tuning.json").write_text("{")
    for name in ("host-tune", "host-restore"):
        result = _invoke(name, root)
        assert result.exit_code == 1
        assert result.output.count("\n") == 1
        assert "tuning.json is damaged" in result.output


def test_an_earlier_tuning_and_a_restart_are_said(root: Path) -> None:
    """Tuning again says that it has restored first; after a start of the host there is nothing to restore."""
    _invoke("host-tune", root)
    assert "that was done first" in _invoke("host-tune", root).stderr
    (root / BOOT_ID).write_text("another\n")
    result = _invoke("host-restore", root)
    assert (result.exit_code, "has been started since" in result.output) == (0, True)


def test_without_a_state_directory_the_cache_is_used(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """People without a lab need not name a directory; --state names another."""
    monkeypatch.delenv("BENCHYARD_STATE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    before = snapshot(root)
    assert _invoke("host-tune", root).exit_code == 0
    assert (tmp_path / "cache/benchyard/host/tuning.json").exists()
    assert "nothing" in _invoke("host-restore", root, "--state", str(tmp_path / "other")).output
    assert _invoke("host-restore", root).exit_code == 0
    assert snapshot(root) == before
