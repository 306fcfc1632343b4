"""The step that compares a job with its base, in the job's own build: inside a real master with the lab's own steps."""

import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from buildbot.process.results import SUCCESS, WARNINGS
from measuredlab import MeasuredLab, around

from benchyard.hosting.registration import register_host
from benchyard.queueing import admission, engine
from benchyard.queueing.runs import push_key
from benchyard.steps import compare

Start = Callable[..., Any]
Spin = Callable[..., Any]
Settle = Callable[..., Any]

BASE, HEAD = 1, 2


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The results directory of a lab with one isolated host."""
    lab = tmp_path / "lab"
    (lab / "results").mkdir(parents=True)
    (lab / "benchyard.toml").write_text("[targets.linux]\n", encoding="utf-8")
    register_host(lab, "bench", role="isolated", target="linux", address="localhost")
    return lab / "results"


@pytest.fixture
def built(folder: Path, start_master: Start, spin: Spin, settle: Settle) -> Callable[..., Any]:
    """`built(spoil)`: the end of a job's build whose result was stored before, and its step `compare`.

    `spoil` is what becomes of the files of the two results before.
    """
    from benchyard.config.master import master_config
    from benchyard.config.settings import load_settings

    def build(spoil: Callable[[], Any]) -> tuple[int, dict[str, Any], str]:
        free_port = {"pb": {"port": "tcp:0:interface=127.0.0.1"}}
        master = start_master({**master_config(load_settings(folder.parent)), "protocols": free_port})
        service = master.service_manager.namedServices[engine.SERVICE]

        async def condition(request_id: int) -> Any:
            request = await master.db.buildrequests.getBuildRequest(request_id)
            return request if request.complete else None

        async def work() -> tuple[int, dict[str, Any], str]:
            request_id, _new = await service.request("linux", push_key("linux", HEAD, 1), reason="")
            await service.db(_measure, MeasuredLab(folder), request_id)
            spoil()
            await admission.mend(service)
            request = await settle(lambda: condition(request_id), "the build has come to its end")
            (done,) = await master.data.get(("buildrequests", request_id, "builds"))
            steps = await master.data.get(("builds", done["buildid"], "steps"))
            step = next(step for step in steps if step["name"] == "compare")
            logs = await master.data.get(("steps", step["stepid"], "logs"))
            texts = [(await master.data.get(("logs", log["logid"], "contents")))["content"] for log in logs]
            return request.results, step, "".join(texts)

        found: tuple[int, dict[str, Any], str] = spin(work())
        return found

    return build


def _measure(conn: Any, lab: MeasuredLab, request_id: int) -> None:
    lab.measured(conn, {"nbody": around(1.0)})
    head = lab.job(conn, base_job=BASE, request_id=request_id)
    lab.result(conn, head, {"nbody": around(1.2)})


def test_both_are_there(built: Callable[..., Any]) -> None:
    """The comparison is a log of the build, and its line says how the job's result is."""
    results, step, text = built(lambda: None)
    assert (results, step["results"]) == (SUCCESS, SUCCESS)
    assert step["state_string"] == "result 2 is 1.20x slower"
    assert "job 1" in text and "nbody" in text


@pytest.mark.parametrize(
    ("number", "data", "why"),
    [
        (BASE, None, "No such file or directory"),
        (HEAD, b"", "the result file is empty"),
        (HEAD, b"{", "the result file is not JSON: "),
        (BASE, gzip.compress(b"{}"), "the result file is compressed by gzip: "),
    ],
    ids=("gone", "empty", "damaged", "packed"),
)
def test_a_file_cannot_be_read(
    built: Callable[..., Any], folder: Path, number: int, data: bytes | None, why: str
) -> None:
    """The build ends all the same, with all its steps: the job has its result, and the line says which file it is."""
    path = folder / f"{number}.json"
    results, step, text = built(path.unlink if data is None else lambda: path.write_bytes(data))
    assert (results, step["results"]) == (SUCCESS, WARNINGS)
    assert text.startswith(f"result {number} cannot be read: {path}: {why}")


def test_what_nobody_thought_of(
    built: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, logged_errors: list[str]
) -> None:
    """It does not keep the build from its end either: it would come again and again."""
    monkeypatch.setattr(compare, "compare_rows", lambda *_, **__: 1 / 0)
    results, step, text = built(lambda: None)
    assert (results, step["results"]) == (SUCCESS, WARNINGS)
    assert step["state_string"] == "something went wrong in the lab; ask `benchyard result compare` (warnings)"
    assert "ZeroDivisionError" in text
    assert "in step compare of build" in logged_errors.pop()
