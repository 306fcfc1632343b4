"""What people ask, checked at every door alike."""

import hashlib
import json
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import pytest

from benchyard.queueing.doors import (
    origin_of,
    push_of,
    refused_spec,
    request_of_job,
    request_of_properties,
    spec_row,
)
from benchyard.queueing.requests import MODES, Invalid, JobRequest, JobSpec, Source, parse_request, split_selection
from benchyard.queueing.runs import Run, push_key, run_of_key, stage_key
from benchyard.store.rows import Job


def test_least_request() -> None:
    """An interpreter is enough; everything else has its default."""
    assert parse_request({"python": "/p"}) == JobRequest(python="/p", benchmarks=(), mode="default", run=True)


def test_whole_request() -> None:
    """Every part is taken over as it is."""
    asked = {
        "python": "/p",
        "target": "t",
        "host": "h",
        "benchmarks": ["nbody", "-json"],
        "mode": "rigorous",
        "affinity": "1-2",
        "reason": "why",
        "run": False,
    }
    request = parse_request(asked)
    assert {name: getattr(request, name) for name in asked} == {**asked, "benchmarks": ("nbody", "-json")}


FAULTS: dict[str, list[Mapping[str, Any]]] = {
    "python": [{"python": ""}, {"python": 5}, {"python": "/" * 1001}],
    "target": [{"target": 1}, {"target": ""}, {"target": "t" * 101}],
    "host": [{"host": []}, {"host": ""}],
    "benchmarks": [{"benchmarks": "nbody"}, {"benchmarks": [1]}, {"benchmarks": [""]}, {"benchmarks": ["b"] * 501}],
    "mode": [{"mode": "quick"}, {"mode": None}],
    "affinity": [{"affinity": 3}, {"affinity": "1," * 101}],
    "reason": [{"reason": None}, {"reason": "r" * 1001}],
    "run": [{"run": "yes"}, {"run": 1}],
    "pyton": [{"pyton": "/p"}],
}


@pytest.mark.parametrize(("field", "asked"), [(field, asked) for field, faults in FAULTS.items() for asked in faults])
def test_fault_names_its_field(field: str, asked: Mapping[str, Any]) -> None:
    """Each wrong part is refused in one line, with its name."""
    with pytest.raises(Invalid) as refused:
        parse_request({"python": "/p", **asked})
    assert refused.value.field == field
    assert str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("data", [None, 5, "x", [], [{}]])
def test_no_object(data: object) -> None:
    """What is no object has no field to blame."""
    with pytest.raises(Invalid, match=r"^expected `object`") as refused:
        parse_request(data)
    assert refused.value.field == ""


@pytest.mark.parametrize(
    ("text", "words"),
    [("", ()), (" , ", ()), ("nbody", ("nbody",)), ("nbody, -json\n2to3,", ("nbody", "-json", "2to3"))],
)
def test_selection_of_a_text(text: str, words: tuple[str, ...]) -> None:
    """Benchmarks in a form are separated by commas or blanks."""
    assert split_selection(text) == words


def test_form() -> None:
    """A form's properties are a request; empty ones are as if they were not there, strange ones are left alone."""
    properties = {
        "python": "/p",
        "benchmarks": "nbody -json",
        "mode": "fast",
        "host": "",
        "affinity": None,
        "reason": "r",
        "scheduler": "force-t",
        "owner": "ada",
        "run": False,
    }
    expected = JobRequest(target="t", python="/p", benchmarks=("nbody", "-json"), mode="fast", reason="r", again=True)
    assert request_of_properties(properties, target="t") == expected


@pytest.mark.parametrize(
    ("said", "meant"),
    [("1", True), ("yes", True), (True, True), ("True", True), ("0", False), ("off", False), (False, False)],
)
def test_strict_in_words(said: object, meant: bool) -> None:
    """A property says whether a benchmark that does not run is the job's end; the doors know texts and booleans."""
    assert request_of_properties({"ref": "main", "strict": said}, target="t").strict is meant


@pytest.mark.parametrize(
    ("properties", "field"),
    [
        ({}, "python"),
        ({"python": ""}, "python"),
        ({"python": 5}, "python"),
        ({"python": "/p", "mode": "x"}, "mode"),
        ({"ref": "main", "strict": "perhaps"}, "strict"),
        ({"ref": "main", "also_base": "1"}, "also_base"),
        ({"ref": "main", "same_loops": 3}, "same_loops"),
        ({"ref": "main", "patch": "x"}, "patch"),
        ({"ref": "main", "configure_args": "--x"}, "configure_args"),
    ],
)
def test_bad_form(properties: dict[str, Any], field: str) -> None:
    """A form that makes no sense names the field."""
    with pytest.raises(Invalid) as refused:
        request_of_properties(properties, target="t")
    assert refused.value.field == field


def test_refused_job_keeps_what_was_asked() -> None:
    """The spec of a refused job is a spec, as far as what was asked can be read."""
    assert refused_spec({"python": "/p", "benchmarks": "a, b", "mode": "quick"})["selection"] == ("a", "b")
    for properties in ({}, {"python": 5, "benchmarks": ["a"]}):
        assert JobSpec.of(refused_spec(properties)).mode in MODES


def test_spec_is_kept_as_json() -> None:
    """A spec comes back from its row as it was."""
    spec = JobSpec(python="/p", benchmarks=("a", "b"), selection=("a",), mode="fast", affinity="1")
    assert JobSpec.of(spec_row(spec)) == spec


def test_job_once_more() -> None:
    """A rebuild asks for what its job was asked, not for what that came to then."""
    spec = {"python": "/p", "benchmarks": ["a", "b"], "selection": ["a*"], "mode": "fast", "affinity": "1"}
    row = {**dict.fromkeys(Job.__struct_fields__), "id": 7, "target": "t", "host": "h", "spec": spec}
    row["kind"] = "memory"
    assert request_of_job(Job(**row)) == JobRequest(  # type: ignore[arg-type]
        kind="memory",
        target="t",
        host="h",
        python="/p",
        benchmarks=("a*",),
        mode="fast",
        affinity="1",
        reason="job 7 again",
        again=True,
    )


def buildset(key: str | None = None, rebuilt: int | None = None) -> SimpleNamespace:
    return SimpleNamespace(external_idstring=key, rebuilt_buildid=rebuilt)


@pytest.mark.parametrize(
    ("set_", "properties", "origin"),
    [
        (buildset(), {"scheduler": "force-linux", "owner": "ada"}, ("force", "ada")),
        (buildset(), {"scheduler": "force-linux"}, ("force", "web")),
        (buildset(), {"scheduler": "nightly-n", "owner": "ada"}, ("nightly", "lab")),
        (buildset(rebuilt=3), {"scheduler": "force-linux", "owner": "bob", "rebuilt_by": "ada"}, ("rebuild", "ada")),
        (buildset(rebuilt=3), {}, ("rebuild", "web")),
    ],
)
def test_door(set_: SimpleNamespace, properties: dict[str, str], origin: tuple[str, str]) -> None:
    """By which door a request came, and whose it is."""
    assert origin_of(set_, properties) == origin


def test_push_is_known_by_its_key() -> None:
    """The key of a push names its job and its number; a rebuild's copy of it, and every other key, names none."""
    assert push_of(buildset(push_key("linux-x86_64", 12, 3))) == (12, 3)
    assert push_of(buildset(push_key("linux", 12, 3), rebuilt=1)) is None
    for key in (None, "", "linux", stage_key("linux-measure", Run(12, 1)), "a:b:c:d"):
        assert push_of(buildset(key)) is None


def test_stage_is_known_by_its_key() -> None:
    """The key of a stage, and of a sweep after it, names its run; every other key names none."""
    run = Run(12, 3)
    assert str(run) == "12.3"
    assert run_of_key(stage_key("linux-measure", run)) == run
    assert run_of_key("sweep:" + stage_key("linux-measure", run)) == run
    for key in (None, "", "linux-measure", push_key("linux", 12, 3), "x:1.2.3", "x:-1.2", "x:1.", "x:1234567890.1"):
        assert run_of_key(key) is None


def test_kinds_are_never_taken_for_one_another() -> None:
    """Jobs of two kinds measure different things; of the first kind, identities are what they were before kinds."""
    spec = JobSpec(source=Source(remote="r", url="u", ref="main", commit="c", recipe="x"), benchmarks=("nbody",))
    parts: list[object] = ["t", "x", ["nbody"], "default", None, ["", ""], {}]
    before = hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
    assert spec.identity("t") == spec.identity("t", "benchmarks") == before
    assert len({spec.identity("t", kind) for kind in ("benchmarks", "memory", "profile")}) == 3


def test_kind_of_a_door() -> None:
    """A form's or a schedule's request names its kind; one with a kind may leave the interpreter to that."""
    asked = request_of_properties({"kind": "calibrate", "host": "h"}, target="t")
    assert (asked.kind, asked.python, asked.host) == ("calibrate", None, "h")
    assert request_of_properties({"python": "/p"}, target="t").kind == "benchmarks"
