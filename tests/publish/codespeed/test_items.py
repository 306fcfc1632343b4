"""What codespeed is told of a result."""

import statistics
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
import pyperf
import pytest

from benchyard.publish.codespeed.destination import make
from benchyard.publish.codespeed.items import items_of
from benchyard.publish.destinations import Publication, Refused, Site
from benchyard.publish.settings import Codespeed, Policy

Make = Callable[..., Publication]


def settings(**given: Any) -> Codespeed:
    return msgspec.convert({"kind": "codespeed", "url": "https://speed.example/", **given}, Codespeed)


def only(publication: Publication, **given: Any) -> Any:
    """The item of the benchmark nbody."""
    return next(item for item in items_of(publication, settings(**given)) if item.benchmark.startswith("nbody"))


def test_values_of_real_files_are_pyperfs(
    real_results: Path, unpack: Callable[[Path], bytes], publication: Make
) -> None:
    """Mean, deviation, extremes and quartiles of each benchmark are those of pyperf and of the statistics module."""
    files = sorted(real_results.glob("**/*.json.gz"))
    assert files
    for file in files:
        data = unpack(file)
        items = {item.benchmark: item for item in items_of(publication(data), settings())}
        benchmarks = pyperf.BenchmarkSuite.loads(data.decode()).get_benchmarks()
        with_values = {bench.get_name(): bench for bench in benchmarks if bench.get_nvalue()}
        assert items.keys() == with_values.keys()
        for name, bench in with_values.items():
            item, values = items[name], bench.get_values()
            assert item.result_value == pytest.approx(bench.mean(), rel=1e-15)
            assert (item.min, item.max) == (min(values), max(values))
            if len(values) > 1:
                q1, _, q3 = statistics.quantiles(values, n=4, method="inclusive")
                expected = (bench.stdev(), q1, q3)
                assert (item.std_dev, item.q1, item.q3) == pytest.approx(expected, rel=1e-12)
            else:
                assert (item.std_dev, item.q1, item.q3) == (None, *values, *values)


def test_one_value_has_no_deviation(publication: Make, make_file: Callable[..., bytes]) -> None:
    """Of one value nothing is said of a deviation; quartiles and extremes are the value."""
    item = only(publication(make_file({"nbody": (0.5,)})))
    told = msgspec.to_builtins(item)
    assert "std_dev" not in told
    assert {told[name] for name in ("result_value", "min", "max", "q1", "q3")} == {0.5}


def test_names_by_default(publication: Make) -> None:
    """Without settings a value is for CPython, its flags, its host's name and the branch main, in seconds."""
    item = only(publication(flags=("jit", "nogil")))
    assert (item.project, item.executable, item.environment, item.branch) == (
        "CPython",
        "cpython-jit-nogil",
        "bench1",
        "main",
    )
    assert (item.units, item.units_title, item.lessisbetter) == ("seconds", "Time", True)


def test_settings_name_everything(publication: Make) -> None:
    """Project, executable, environment, branch, benchmark and units are called what the settings say."""
    item = only(
        publication(flags=("jit",), branch="3.14"),
        project="Ours",
        executable="our-{implementation}{flags}",
        executables={"our-cpython-jit": "fast one"},
        environments={"bench1": "Xeon in the cellar"},
        branch_names={"3.14": "stable"},
        benchmarks={"nbody": "nbody (planets)"},
        units={"second": {"units": "s", "title": "Duration", "less_is_better": False, "suffix": "!"}},
    )
    assert msgspec.structs.asdict(item) == {
        **msgspec.structs.asdict(item),
        "project": "Ours",
        "executable": "fast one",
        "environment": "Xeon in the cellar",
        "branch": "stable",
        "benchmark": "nbody (planets)!",
        "units": "s",
        "units_title": "Duration",
        "lessisbetter": False,
    }


def test_branches_are_renamed(publication: Make) -> None:
    """A branch has its name of the settings also with a remote or a patch, and what comes of these can be renamed."""
    names = {"stable-3.14": "3.14", "ada/main": "ada", "3.14+abababa": "try"}
    patched = {"patch": "ab" * 32}

    def branch(name: str, interpreter: dict[str, str]) -> str:
        found: str = only(publication(branch=name, interpreter=interpreter), remote="up", branch_names=names).branch
        return found

    assert branch("stable-3.14", {"remote": "up"}) == "3.14"
    assert branch("main", {"remote": "ada"}) == "ada"
    assert branch("main", {"remote": "ada", **patched}) == "ada+abababa"
    assert branch("stable-3.14", patched) == "try"


def test_settings_choose_what_is_sent(publication: Make) -> None:
    """The value may be the median, and what is sent beside it is chosen."""
    item = only(publication(), value="median", statistics=["q1", "q3"])
    told = msgspec.to_builtins(item)
    assert item.result_value == 0.2
    assert told.keys() & {"std_dev", "min", "max", "q1", "q3"} == {"q1", "q3"}


def test_builds_that_differ_are_named_differently(publication: Make, make_file: Callable[..., bytes]) -> None:
    """Flags, patches, arguments of configure, remotes and units each lead to a place of their own."""
    source = {"remote": "upstream", "configure_args": ["--with-computed-gotos"]}
    items = [
        only(publication(), remote="upstream"),
        only(publication(flags=("jit",))),
        only(publication(interpreter={"patch": "ab" * 32})),
        only(publication(source=source)),
        only(publication(source={**source, "configure_args": ["--without-computed-gotos"]})),
        only(publication(interpreter={"remote": "ada"}), remote="upstream"),
        only(publication(make_file({"nbody": (1e6, 2e6)}, unit="byte"))),
        only(publication(make_file({"nbody": (3, 4)}, unit="integer"))),
    ]
    places = {(item.commitid, item.branch, item.executable, item.environment, item.benchmark) for item in items}
    assert len(places) == len(items)
    assert items[2].branch == "main+abababa"
    assert items[5].branch == "ada/main"
    assert items[6].benchmark == "nbody-memory"


@pytest.mark.parametrize(
    ("given", "what"),
    [
        (
            {"flags": ("bolt", "lto", "nogil", "pgo", "tailcall")},
            "executables = {'cpython-bolt-lto-nogil-pgo-tailcall'",
        ),
        ({"branch": "a-branch-of-more-than-thirty-two-characters"}, "branch_names = {'a-branch-of-more"),
        ({"host": "h" * 101}, "environments = {'hhh"),
        ({"commit": "a" * 64}, "the commit 'aaa"),
        ({"commit": None}, "it has no commit"),
        ({"path": "bm-x/bm-y.profile"}, "a profile has no values"),
    ],
)
def test_what_does_not_fit_is_refused(publication: Make, site: Site, given: dict[str, Any], what: str) -> None:
    """A name that codespeed cannot keep whole is refused by the row alone, with the key that gives it another."""
    found = publication(**given)
    destination = make("speed", settings(), site)
    said = destination.refusal(found.head.result)
    assert said is not None
    assert what in said
    assert "\n" not in said
    with pytest.raises(Refused) as refused:
        items_of(found, settings())
    assert str(refused.value) == said


def test_what_is_renamed_fits(publication: Make, site: Site) -> None:
    """What was too long is taken once the settings give it another name."""
    name = "cpython-bolt-lto-nogil-pgo-tailcall"
    found = publication(flags=("bolt", "lto", "nogil", "pgo", "tailcall"))
    given = settings(executables={name: "cpython-everything"})
    assert make("speed", given, site).refusal(found.head.result) is None
    assert {item.executable for item in items_of(found, given)} == {"cpython-everything"}


def test_two_benchmarks_never_become_one(publication: Make) -> None:
    """Renaming a benchmark to another's name is refused: one of the two would be lost."""
    with pytest.raises(Refused, match="two benchmarks would be 'nbody' there"):
        items_of(publication(), settings(benchmarks={"json_loads": "nbody"}))


def test_long_benchmark_is_refused(publication: Make, make_file: Callable[..., bytes]) -> None:
    """A benchmark's name of more than 100 characters is refused, with what to do."""
    with pytest.raises(Refused, match="benchmarks = {'bbb"):
        items_of(publication(make_file({"b" * 101: (1.0,)})), settings())


@pytest.mark.parametrize("values", [(1e308, 1e308), (1e300, 2e300)])
def test_values_that_are_not_finite(publication: Make, make_file: Callable[..., bytes], values: Any) -> None:
    """Values whose mean or deviation is beyond all numbers are refused: JSON and codespeed have none for it."""
    found = publication()
    huge = msgspec.structs.replace(found.head, data=make_file({"nbody": values}))
    with pytest.raises(Refused, match=r"a value of benchmark 'nbody' of 1e\+100 or more"):
        items_of(msgspec.structs.replace(found, head=huge), settings())


def test_no_pyperf_file(publication: Make) -> None:
    """A file that cannot be read is refused in one line."""
    found = publication()
    broken = msgspec.structs.replace(found, head=msgspec.structs.replace(found.head, data=b"{}"))
    with pytest.raises(Refused, match="the result file is not pyperf's"):
        items_of(broken, settings())


def test_bench_runners_branch_is_none(real_results: Path, unpack: Callable[[Path], bytes], publication: Make) -> None:
    """bench_runner calls a commit its own branch: such a result is on the branch of the settings."""
    (file,) = (real_results / "bm-20260507-3.16.0a0-49918f5").iterdir()
    item, *_ = items_of(publication(unpack(file)), settings())
    assert (item.commitid, item.branch) == ("49918f5", "main")
    assert item.revision_date == "2026-05-07T23:02:04+00:00"


def test_dates(publication: Make, make_file: Callable[..., bytes]) -> None:
    """The revision's date is the commit's, as exactly as it is known; a codespeed without time zones gets UTC."""
    told = make_file({"nbody": (1.0,)}, commit_date="2026-08-07T15:16:25-07:00")
    assert only(publication(source={"time": 1_700_000_000.0})).revision_date == "2023-11-14T22:13:20+00:00"
    assert only(publication(told)).revision_date == "2026-08-07T22:16:25+00:00"
    assert only(publication(told), dates="naive").revision_date == "2026-08-07T22:16:25"
    assert only(publication(interpreter={"commit_date": "2026-01-02"})).revision_date == "2026-01-02T00:00:00+00:00"
    measured = only(publication())
    assert measured.revision_date == measured.result_date == datetime.fromisoformat("2025-06-15T15:06:40Z").isoformat()


def test_slot_is_the_place(publication: Make, site: Site) -> None:
    """Results for one place share a slot, whatever they measured; those of another place never do."""
    destination = make("speed", settings(), site)
    slots = [
        destination.slot(publication(**given).head.result)
        for given in ({}, {"created": 1.8e9, "mode": "fast"}, {"flags": ("jit",)}, {"host": "b2"}, {"commit": "f" * 40})
    ]
    assert slots[0] == slots[1]
    assert len(set(slots)) == 4


@pytest.mark.parametrize(
    ("given", "what"),
    [
        ({"url": "https://speed.example/?a=b"}, "without"),
        ({"user": "a:b"}, "`user` cannot have a colon"),
        ({"units": {"byte": {"units": "bytes", "title": "Memory"}}}, "a suffix of its own"),
        ({"units": {"metre": {"units": "m", "title": "Length"}}}, "metre"),
        ({"executables": {"cpython": "e" * 31}}, "length <= 30"),
        ({"branch": "b" * 33}, "length <= 32"),
        ({"project": "p" * 31}, "length <= 30"),
    ],
)
def test_settings_that_cannot_be(given: dict[str, Any], what: str) -> None:
    """Settings that could never be sent are refused when the lab starts."""
    with pytest.raises(msgspec.ValidationError, match=what):
        settings(**given)


def test_settings_are_a_destinations(site: Site) -> None:
    """Its settings are a policy with more keys, and it says that it takes nothing back."""
    assert isinstance(settings(), Policy)
    assert make("speed", settings(), site).can_withdraw is False
