"""What is in a repository after results were published there."""

import hashlib
import re
import shutil
from pathlib import Path, PurePosixPath

import pytest
from gitremote import MakeDestination, Remote
from publications import LAB_URL, file_of, measured, path_of, publication, real, small

from benchyard.publish.git.tables import END, START
from benchyard.results.compare import compare
from benchyard.results.reading import read_suite


def test_first(remote: Remote, destination: MakeDestination) -> None:
    """An empty repository gets a first commit, with the file as the lab has it and tables that show it."""
    head = small(3)
    receipt = destination(author="The lab <lab@example.org>").publish_now(publication(head))
    folder, name = str(head.result.path).split("/")
    files = remote.files()
    assert set(files) == {"results/README.md", f"results/{folder}/README.md", f"results/{folder}/{name}"}
    assert files[f"results/{folder}/{name}"] == head.data
    assert remote.git("log", "--format=%an <%ae> %cn <%ce> %s") == (
        "The lab <lab@example.org> The lab <lab@example.org> Add result 3: main 0000003000 on bench1"
    )
    assert f"{LAB_URL}#/buildrequests/3" in remote.git("log", "--format=%b")
    commit = remote.git("rev-parse", "main")
    assert receipt.words == f"commit {commit[:10]} on main"
    assert receipt.link is None
    index = files["results/README.md"].decode()
    assert f"| [2026-01-04]({folder}/) | `python/main` | [`0000003`]({folder}/{name}) |" in index
    readme = files[f"results/{folder}/README.md"].decode()
    assert f"[raw results]({name})" in readme
    assert re.search(r"\| `nbody` \| 100 ms \+- 0 ms \|", readme)


def test_real_files(remote: Remote, destination: MakeDestination, real_results: Path) -> None:
    """Real results arrive byte for byte, with the numbers that their comparison has, as bench_runner names it."""
    base, head = (
        real(next((real_results / folder).glob("*.gz")), number)
        for number, folder in ((1, "bm-20260712-3.16.0a0-832bc0b"), (2, "bm-20260712-3.16.0a0-832bc0b-JIT"))
    )
    place = destination()
    place.publish_now(publication(base))
    place.publish_now(publication(head, base))
    files = remote.files()
    for result in (base, head):
        data = files[f"results/{result.result.path}"]
        assert hashlib.sha256(data).hexdigest() == result.result.sha256
    path = PurePosixPath("results", str(head.result.path))
    comparison = files[str(path.with_name(f"{path.stem}-vs-base.md"))].decode()
    mean = compare(read_suite(base.data), read_suite(head.data)).geometric_mean
    assert mean is not None
    # The line that bench_runner looks for, and how it reads it.
    lines = [line for line in comparison.splitlines() if "Geometric mean (including insignificant results)" in line]
    assert [line.split(":", maxsplit=1)[-1].strip() for line in lines] == [mean.change]
    assert comparison.count("\n| `") > 80
    index = files["results/README.md"].decode()
    assert index.count("\n| [2026-07-12]") == 2
    assert f"| [{mean.change}]({path.parent.name}/{path.stem}-vs-base.md) |" in index
    # bench_runner takes every file of a folder for one of these, and fails at others.
    for name in files:
        if name.count("/") == 2:
            assert re.fullmatch(r"README\.md|bm(-[^-]+){7}(\.json|-vs-base\.md)", PurePosixPath(name).name), name


def test_again(remote: Remote, destination: MakeDestination, tmp_path: Path) -> None:
    """The same result again makes no commit, also from another lab's master that has no copy of its own."""
    head = publication(small(1), small(2))
    first = destination().publish_now(head)
    for place in (destination(), destination("other")):
        receipt = place.publish_now(head)
        assert receipt.words == f"it is there, main at {first.words.split()[1]}"
    shutil.rmtree(tmp_path / "work")
    destination().publish_now(head)
    assert len(remote.subjects()) == 1


def test_order_does_not_matter(destination: MakeDestination, tmp_path: Path, remote: Remote) -> None:
    """The tables are of what is there: published in another order, all files are the same; newest first."""
    results = [publication(small(number, host=host)) for number in (1, 2, 9) for host in ("bench1", "bench2")]
    for one in results:
        destination().publish_now(one)
    other = Remote(tmp_path / "other.git")
    for one in reversed(results):
        destination("second", url=str(other.path)).publish_now(one)
    assert remote.files() == other.files()
    days = re.findall(r"^\| \[([0-9-]+)\]", remote.text("results/README.md"), re.MULTILINE)
    assert days == ["2026-01-10"] * 2 + ["2026-01-03"] * 2 + ["2026-01-02"] * 2
    readme = remote.text(f"results/{path_of(9).split('/')[0]}/README.md")
    assert [line for line in readme.splitlines() if line.startswith("## ")] == ["## `bench1`", "## `bench2`"]


def test_hosts_and_grades_in_the_index(remote: Remote, destination: MakeDestination) -> None:
    """What a file says of its grade is in its row; a file without a grade, or that is none of pyperf's, has none."""
    place = destination()
    place.publish_now(publication(small(1)))
    plain = measured(file_of({"nbody": [1.0]}), path_of(2, "bench2"), id=2)
    place.publish_now(publication(plain))
    remote.add({f"results/{path_of(3, 'theirs')}": b"no JSON at all"})
    place.publish_now(publication(small(4)))
    rows = [line.split(" | ") for line in remote.text("results/README.md").splitlines() if line.startswith("| [")]
    assert [(row[5], row[6]) for row in rows] == [
        ("`bench1 x86_64`", "B"),
        ("`theirs x86_64`", ""),
        ("`bench2 x86_64`", ""),
        ("`bench1 x86_64`", "B"),
    ]
    # What cannot be read is told so, where it is.
    place.publish_now(publication(small(3)))
    assert "the result file is not JSON" in remote.text(f"results/{path_of(3).split('/')[0]}/README.md")


@pytest.mark.parametrize("text", ["# Ours\n\nWords: \xe4\xff\r\n", "no line end", "\n\n", ""])
def test_own_text(remote: Remote, destination: MakeDestination, text: str) -> None:
    """What people write around the table stays, byte for byte, whatever it is; so does all else in the repository."""
    mine = text.encode("latin-1")
    remote.add({"results/README.md": mine, "README.md": b"root", "results/notes.txt": b"\r\n"})
    destination().publish_now(publication(small(1)))
    once = remote.read("results/README.md")
    assert once.startswith(mine.rstrip())
    around = b"before \xff\r\n" + once.partition(START.encode())[1] + once.partition(START.encode())[2] + b" after\r\n"
    remote.add({"results/README.md": around})
    destination().publish_now(publication(small(2)))
    twice = remote.read("results/README.md")
    assert twice.startswith(b"before \xff\r\n" + START.encode())
    assert twice.endswith(END.encode() + b"\n after\r\n")
    assert twice.count(START.encode()) == twice.count(END.encode()) == 1
    assert twice.count(b"\n| [2026") == 2
    assert remote.read("README.md") == b"root"
    assert remote.read("results/notes.txt") == b"\r\n"


def test_lost_end(remote: Remote, destination: MakeDestination) -> None:
    """Where the end of the table was lost, nothing is taken for the table that may be somebody's text."""
    remote.add({"results/README.md": f"# A\n{START}\nold\n\nmine\n".encode()})
    destination().publish_now(publication(small(1)))
    text = remote.text("results/README.md")
    assert text.startswith(f"# A\n{START}\n")
    assert text.endswith(f"{END}\nold\n\nmine\n")
    assert text.count("\n| [2026") == 1


@pytest.mark.parametrize("folder", ["", "a/b.c/d"])
def test_folder(remote: Remote, destination: MakeDestination, folder: str) -> None:
    """The folder may be the root, or deep below it; others' results elsewhere are not in its index."""
    remote.add({f"elsewhere/deep/{path_of(9)}": small(9).data} if folder else {"x": b""})
    destination(folder=folder).publish_now(publication(small(1)))
    prefix = f"{folder}/" if folder else ""
    assert remote.read(f"{prefix}{path_of(1)}") == small(1).data
    assert remote.text(f"{prefix}README.md").count("\n| [2026") == 1


def test_branch(remote: Remote, destination: MakeDestination) -> None:
    """A branch that is not there yet is made, and the others stay as they are."""
    theirs = remote.add({"code.c": b"int x;"})
    for number in (1, 2):
        destination(branch="bench/results").publish_now(publication(small(number)))
    assert remote.git("rev-parse", "main") == theirs
    assert len(remote.subjects("bench/results")) == 2
    assert "code.c" not in remote.files("bench/results")


def test_rewritten_branch(remote: Remote, destination: MakeDestination) -> None:
    """A branch that somebody has rewritten, or taken away, is gone on with as it is now."""
    place = destination()
    place.publish_now(publication(small(1)))
    remote.git("update-ref", "-d", "refs/heads/main")
    place.publish_now(publication(small(2)))
    assert remote.subjects() == ["Add result 2: main 0000002000 on bench1"]
    remote.git("update-ref", "-d", "refs/heads/main")
    remote.add({"new.txt": b""})
    place.publish_now(publication(small(3)))
    assert remote.subjects() == ["Theirs", "Add result 3: main 0000003000 on bench1"]
    assert f"results/{path_of(2)}" not in remote.files()


def test_bytes_are_kept(remote: Remote, destination: MakeDestination) -> None:
    """Neither attributes of the repository nor line ends in a file change it on its way."""
    data = file_of({"nbody": [1.0, 2.0]}).replace(b", ", b",\r\n")
    remote.add({".gitattributes": b"* text=auto eol=lf\n*.json filter=lfs ident\n"})
    destination().publish_now(publication(measured(data, path_of(1))))
    assert remote.read(f"results/{path_of(1)}") == data
    assert b"\r\n" in data


def test_taken_name(remote: Remote, destination: MakeDestination) -> None:
    """A name that another lab has taken is left to it; the result goes where bench_runner finds it all the same."""
    theirs = file_of({"nbody": [7.0]})
    remote.add({f"results/{path_of(1)}": theirs, f"results/rerun-2/{path_of(1)}": theirs + b" "})
    place = destination()
    for _ in range(2):
        place.publish_now(publication(small(1), small(2)))
        assert remote.read(f"results/{path_of(1)}") == theirs
        assert remote.read(f"results/rerun-3/{path_of(1)}") == small(1).data
    assert len(remote.subjects()) == 2
    assert remote.text("results/README.md").count("\n| [2026") == 3
    place.withdraw_now(publication(small(1)))
    assert remote.read(f"results/{path_of(1)}") == theirs
    assert not any(name.startswith("results/rerun-3") for name in remote.files())


def test_rerun_of_the_lab(remote: Remote, destination: MakeDestination) -> None:
    """A result that is a rerun in the lab is one in the repository."""
    place = destination()
    again = measured(file_of({"nbody": [3.0]}), f"rerun-2/{path_of(1)}", id=8)
    place.publish_now(publication(small(1)))
    place.publish_now(publication(again))
    assert remote.read(f"results/{path_of(1)}") == small(1).data
    assert remote.read(f"results/rerun-2/{path_of(1)}") == again.data


def test_new_comparison(remote: Remote, destination: MakeDestination) -> None:
    """Published once more with another base, a result has the new comparison; without one, the old one stays."""
    place = destination()
    head = small(1, mean=0.1)
    name = f"results/{path_of(1)}".replace(".json", "-vs-base.md")
    for base, said in (
        (small(2, mean=0.2), "2.00x faster"),
        (small(3, mean=0.05), "2.00x slower"),
        (None, "2.00x slower"),
    ):
        place.publish_now(publication(head, base))
        assert f"(including insignificant results): {said}\n" in remote.text(name)
        assert f"[{said}]" in remote.text("results/README.md")
    assert len(remote.subjects()) == 2


def test_withdraw(remote: Remote, destination: MakeDestination) -> None:
    """Withdrawn, a result is gone with all that was made of it, and the others' tables are as if it had never been."""
    place = destination()
    other, head = publication(small(1)), publication(small(2), small(1))
    beside = publication(small(2, host="bench2"))
    place.publish_now(other)
    place.publish_now(beside)
    before = remote.files()
    place.publish_now(head)
    # bench_runner's own plots of it go as well.
    plot = f"results/{path_of(2)}".replace(".json", "-vs-3.11.0.svg")
    remote.add({plot: b"<svg/>"})
    receipt = place.withdraw_now(head)
    assert receipt.words.startswith("commit ")
    assert remote.files() == before
    assert remote.subjects()[-1] == "Withdraw result 2: main 0000002000 on bench1"
    count = len(remote.subjects())
    assert place.withdraw_now(head).words == "it is not there"
    assert len(remote.subjects()) == count
    place.publish_now(head)
    assert remote.read(f"results/{path_of(2)}") == small(2).data
    for one in (head, beside, other):
        place.withdraw_now(one)
    assert set(remote.files()) == {"results/README.md"}


def test_withdraw_without_file(remote: Remote, destination: MakeDestination) -> None:
    """A result whose file the lab has no more is known by its hash; another's file of the name is not touched."""
    place = destination()
    head = small(1)
    gone = publication(measured(head.data, path_of(1)))
    place.publish_now(publication(head))
    lost = gone.head.__class__(head.result, b"")
    place.withdraw_now(publication(lost))
    assert set(remote.files()) == {"results/README.md"}
    theirs = file_of({"nbody": [7.0]})
    remote.add({f"results/{path_of(1)}": theirs})
    assert place.withdraw_now(publication(lost)).words == "it is not there"
    assert remote.read(f"results/{path_of(1)}") == theirs


def test_withdraw_from_nothing(remote: Remote, destination: MakeDestination) -> None:
    """Where nothing was ever published there is nothing to withdraw, and nothing is made."""
    assert destination().withdraw_now(publication(small(1))).words == "it is not there"
    assert remote.subjects() == []


def test_refusals(destination: MakeDestination) -> None:
    """What has no place in bench_runner's layout is refused by its row alone, whatever else it is."""
    place = destination()
    assert place.refusal(small(1).result) is None
    for columns, words in (
        ({"kind": "memory"}, "results of kind memory"),
        ({"path": None}, "no file"),
        ({"path": "bm-1-2-3/x.json"}, "not named"),
        ({"path": f"../{path_of(1)}"}, "not named"),
    ):
        assert words in str(place.refusal(small(1, **columns).result))
    assert place.slot(small(1).result) != place.slot(small(2).result)


@pytest.mark.parametrize(
    ("url", "link"),
    [
        ("git@github.com:anna/results.git", "https://github.com/anna/results/tree/main/results/x"),
        ("https://github.com/anna/results", "https://github.com/anna/results/tree/main/results/x"),
        ("ssh://git@github.com/anna/results.git", "https://github.com/anna/results/tree/main/results/x"),
        ("https://example.org/anna/results", None),
        ("git@github.com.example.org:anna/results", None),
    ],
)
def test_link(destination: MakeDestination, url: str, link: str | None) -> None:
    """Where GitHub shows it is told; of other servers nobody knows."""
    assert destination(url=url)._link("x") == link
