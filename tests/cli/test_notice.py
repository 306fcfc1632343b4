"""`benchyard notice`."""

from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.cli.conftest import Run
    from tests.client.lab_server import LabServer


def test_notices_are_listed(run: "Run", lab: "LabServer", server_module: ModuleType) -> None:
    """`notice list` shows what was told, of the kind that is asked for."""
    lab.notices[1] = server_module.a_notice(1)
    lab.notices[2] = server_module.a_notice(2, kind="lane_stale", subject="linux: 3 jobs wait")
    lines = run("notice", "list").out.splitlines()
    assert lines[0].split() == ["NOTICE", "TIME", "KIND", "SUBJECT", "FOR"]
    assert [line.split()[0] for line in lines[1:]] == ["2", "1"]
    assert run("notice", "list", "--kind", "lane_stale", "--json").json["items"] == [lab.notices[2]]
    assert run("notice", "list", "--kind", "nonsense").status == 2


def test_notice_is_shown_whole(run: "Run", lab: "LabServer", server_module: ModuleType) -> None:
    """`notice get` shows the text as it was told, by whom, and what a notifier would not take."""
    lab.notices[7] = server_module.a_notice(7)
    lab.notices[7]["tellings"].append({**lab.notices[7]["tellings"][0], "outcome": "failed", "words": "550 unknown"})
    shown = run("notice", "get", "7").out
    assert "for      anna\n" in shown
    assert "subject  job 7 success\n" in shown
    assert "told by  mail, " in shown
    assert "failed   mail, " in shown and ": 550 unknown\n" in shown
    assert shown.endswith("\nnbody  93.4 ms\n")
    assert run("notice", "get", "7", "--json").json == lab.notices[7]
    assert run("notice", "get", "9").status == 1
