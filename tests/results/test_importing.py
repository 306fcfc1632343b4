"""Taking in files that other tools have made."""

import json
from collections.abc import Callable

import pytest

from benchyard.results import importing
from benchyard.results.foreign import read_foreign

MakeFile = Callable[..., bytes]

NAME = "bm-20260507-3.16.0a0-49918f5-CLANG,JIT/bm-20260507-sulaco-aarch64-python-main-3.16.0a0-49918f5.json"


def _examine(file: bytes, **how: str) -> importing.Foreign:
    return importing.examine(importing.open_content(file), NAME, now=1.78e9, **how)


def test_flags_of_another_host(make_file: MakeFile) -> None:
    """A file that is imported for another host than it says keeps all its flags in the name that it gets."""
    foreign = _examine(make_file({"nbody": [1.0, 2.0]}, platform="Linux-6.1-aarch64"), host="other")
    assert foreign.place.parent.name == "bm-20260507-3.16.0a0-49918f5-CLANG,JIT"
    assert foreign.columns["flags"] == read_foreign(str(foreign.place), {}).flags == ("clang", "jit")


@pytest.mark.parametrize(
    ("arguments", "flags"),
    [
        ("'--enable-optimizations' '--with-lto' '--enable-experimental-jit=yes'", ("jit",)),
        ("--disable-gil --with-tail-call-interp", ("nogil", "tailcall")),
        ("--enable-experimental-jit=interpreter --disable-gil=no", ("python_uops",)),
        ("--enable-experimental-jit=interpreter-off", ()),
        ("--enable-experimental-jit=yes-off", ()),
        ("--with-pydebug 'CFLAGS=-O2", ()),
    ],
)
def test_flags_that_no_folder_tells(make_file: MakeFile, arguments: str, flags: tuple[str, ...]) -> None:
    """A file that is not in bench_runner's place has the flags by which its interpreter was configured."""
    content = importing.open_content(make_file({"nbody": [1.0, 2.0]}, python_config_args=arguments))
    for name in ("out.json", f"downloads/{NAME.rpartition('/')[2]}"):
        foreign = importing.examine(content, name, now=1.78e9)
        assert foreign.columns["flags"] == flags
        assert read_foreign(str(foreign.place), {}).flags == flags
    assert importing.examine(content, NAME, now=1.78e9).columns["flags"] == ("clang", "jit")


@pytest.mark.parametrize("date", ["9999-12-31 23:59:59-12:00", "0001-01-01 00:00:00+05:00", "2150-01-01 00:00:00"])
def test_dates_that_cannot_be(make_file: MakeFile, date: str) -> None:
    """A file of a machine whose clock was wrong is of the day of its commit, and named so."""
    document = json.loads(make_file({"nbody": [1.0, 2.0]}))
    document["benchmarks"][0]["runs"][0]["metadata"] = {"date": date}
    for host in ("sulaco", "other"):
        foreign = _examine(json.dumps(document).encode(), host=host)
        assert foreign.columns["created"] == 1778112000.0  # 2026-05-07
        assert foreign.place.name.startswith("bm-20260507-")
