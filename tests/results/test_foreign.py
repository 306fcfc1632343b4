"""What names and metadata of other tools' files tell."""

from pathlib import Path, PurePosixPath
from typing import Any

import msgspec
import pytest

from benchyard.results.errors import ResultError
from benchyard.results.files import store_file
from benchyard.results.foreign import read_foreign

RUNNER = "bm-20260507-3.16.0a0-49918f5-JIT,CLANG/bm-20260507-sulaco-aarch64-anna%2dk-my_branch-3.16.0a0-49918f5.json"
WHOLE = "49918f5b0ceb1950c3222fd4fd6be872d2e15c6f"


def test_bench_runner() -> None:
    """Its names tell the host, the flags, whose commit it is, and the branch where the file does not."""
    told = read_foreign(f"results/{RUNNER}.gz", {"hostname": "cesw-1"})
    assert (told.host, told.commit, told.branch, told.version) == ("sulaco", "49918f5", "my_branch", "3.16.0a0")
    assert (told.flags, told.fork, told.day) == (("clang", "jit"), "anna-k", "20260507")
    assert told.place == PurePosixPath(RUNNER)


@pytest.mark.parametrize(
    ("metadata", "commit", "branch"),
    [
        ({"commit_id": "49918f5", "commit_branch": WHOLE}, WHOLE, None),
        ({"commit_id": "49918f5", "commit_branch": "main"}, "49918f5", "main"),
        ({"commit_id": WHOLE, "commit_branch": " 3.16 "}, WHOLE, "3.16"),
        ({"commit_id": "v3.16", "commit_branch": "x" * 300}, "49918f5", "my_branch"),
        ({"commit_id": 4991805, "commit_branch": 3.16}, "4991805", "3.16"),
    ],
)
def test_commits(metadata: dict[str, Any], commit: str, branch: str | None) -> None:
    """The metadata's commit comes first, whole if it is anywhere; what is none is not taken for one."""
    told = read_foreign(RUNNER, metadata)
    assert (told.commit, told.branch) == (commit, branch)


@pytest.mark.parametrize(
    ("named", "said", "fork"),
    [
        ("Fidget_Spinner", "Fidget-Spinner", "Fidget-Spinner"),
        ("Fidget%2dSpinner", "Fidget-Spinner", "Fidget-Spinner"),
        ("ada", "bob", "ada"),
        ("python", None, None),
        ("python", "python", None),
    ],
)
def test_forks(named: str, said: str | None, fork: str | None) -> None:
    """It is the name's, written as the file has it: names have had `_` for `-`."""
    metadata = {} if said is None else {"commit_fork": said}
    assert read_foreign(RUNNER.replace("anna%2dk", named), metadata).fork == fork


def test_bench_runner_in_another_folder() -> None:
    """The file's own name tells all but the flags, so it does not stay where it is."""
    told = read_foreign(f"downloads/{PurePosixPath(RUNNER).name}", {"hostname": "cesw-1"})
    whole = read_foreign(RUNNER, {"hostname": "cesw-1"})
    assert (whole.machine, whole.flags) == ("aarch64", ("clang", "jit"))
    assert told == msgspec.structs.replace(whole, flags=(), place=None)


def test_portal() -> None:
    """Its names tell host, version and the beginning of the commit."""
    told = read_foreign("cpython-3.10.4-9d38120e33-fc_linux-b2cf916db80e-pyston.json.gz", {"hostname": "pyperf"})
    assert (told.host, told.commit, told.version, told.place) == ("fc_linux", "9d38120e33", "3.10.4", None)
    assert (told.suite, told.fingerprint_id) == ("pyston", "portal:b2cf916db80e")


@pytest.mark.parametrize("suite", ["", "-pyston"])
def test_portal_by_where_it_is_kept(suite: str) -> None:
    """Under the name that the lab keeps it by, the folder above tells suite and conditions again, also of a rerun."""
    told = read_foreign(f"cpython-3.10.4-9d38120e33-fc_linux-b2cf916db80e{suite}.json", {})
    assert told.above == f"portal-b2cf916db80e{suite}"
    kept = f"{told.above}/bm-20220323-3.10.4-9d38120/bm-20220323-fc_linux-x86_64-python-3.10-3.10.4-9d38120.json.gz"
    for name in (kept, f"rerun-2/{kept}"):
        again = read_foreign(name, {})
        assert (again.suite, again.fingerprint_id, again.above) == (told.suite, told.fingerprint_id, told.above)
    plain = read_foreign(kept.partition("/")[2], {})
    assert (plain.suite, plain.fingerprint_id, plain.above) == (None, None, None)


def test_plain_files() -> None:
    """Without a name that says anything, the metadata tell; a host's name becomes one that a lab takes."""
    told = read_foreign("out.json", {"hostname": "Anna's desk", "commit_id": WHOLE, "commit_fork": "anna"})
    assert (told.host, told.commit, told.fork, told.place) == ("Anna_s_desk", WHOLE, "anna", None)
    assert read_foreign("out.json", {}).host == "unknown"


@pytest.mark.parametrize("host", ["Anna's desk!", "n" * 130])
def test_names_that_no_lab_takes(host: str) -> None:
    """What a file's name has for host and commit becomes a name that a lab takes, or nothing."""
    name = f"bm-20260507-3.16.0a0-49918f5/bm-20260507-{host}-aarch64-python-main-3.16.0a0-no commit.json"
    told = read_foreign(name, {})
    assert (told.host, told.commit, told.branch) == (
        host.replace("'", "_").replace(" ", "_").replace("!", "_")[:100],
        None,
        "main",
    )


@pytest.mark.parametrize("longer", [0, 1])
def test_longest_name(tmp_path: Path, longer: int) -> None:
    """A name that is too long for the disk, packed, is no name of a result: the file gets one of ours."""
    rest = "bm-20260507--aarch64-python-main-3.16.0a0-49918f5.json"
    file = rest.replace("--", f"-{'n' * (252 - len(rest) + longer)}-")
    told = read_foreign(f"bm-20260507-3.16.0a0-49918f5/{file}", {"hostname": "sulaco"})
    if longer:
        assert (told.place, told.host) == (None, "sulaco")
    else:
        assert told.place is not None
        assert len(PurePosixPath(store_file(tmp_path, told.place, b"{}").path).name) == 255


@pytest.mark.parametrize("name", ["../a.json", "a/../../b.json", "a\n.json", "..\\a.json"])
def test_names_lead_nowhere(name: str) -> None:
    """A name that leads elsewhere, or cannot be shown, is refused."""
    with pytest.raises(ResultError, match="cannot be named"):
        read_foreign(name, {})
