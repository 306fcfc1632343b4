"""Patches that come from outside."""

import os
import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from miniature import Miniature

from benchyard.tasks import patches
from benchyard.tasks.errors import RecipeError
from benchyard.tasks.patches import check_changes, check_patch, patch_id

GOOD = "--- a/x.c\n+++ b/x.c\n@@ -1 +1 @@\n-old\n+new\n"


def test_real_diffs(repository: Miniature) -> None:
    """What `git diff` prints is taken: changed, new and removed files, with its prefixes."""
    assert check_patch(repository.diff(**{"python.c": "int x;\n", "new.c": "int y;\n"})) == 1
    repository.git("config", "diff.noprefix", "true")
    assert check_patch(repository.diff(**{"python.c": "int x;\n"})) == 0


def test_lines_of_hunks_are_no_headers() -> None:
    """A removed line `-- ../x` looks like a header, and is none."""
    assert check_patch("--- a/x\n+++ b/x\n@@ -1,2 +1,2 @@\n--- ../../etc/passwd\n+++ /etc/passwd\n same\n") == 1


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "changes no file"),
        ("hello\n", "changes no file"),
        (GOOD.replace("x.c", "../x.c"), "outside of the source tree"),
        ("--- /etc/passwd\n+++ /etc/passwd\n@@ -1 +1 @@\n-a\n+b\n", "outside of the source tree"),
        (GOOD.replace("x.c", ".git/hooks/post-checkout"), "outside of the source tree"),
        (GOOD.replace("x.c", "d/../../x.c"), "outside of the source tree"),
        ("diff --git a/l b/l\nnew file mode 120000\n--- /dev/null\n+++ b/l\n@@ -0,0 +1 @@\n+/etc\n", "symbolic link"),
        ("diff --git a/m b/m\nnew file mode 160000\n--- /dev/null\n+++ b/m\n@@ -0,0 +1 @@\n+x\n", "submodule"),
        ("diff --git a/x b/x\nsimilarity index 90%\nrename from x\nrename to ../y\n", "outside of the source tree"),
        ("diff --git a/x b/x\nGIT binary patch\nliteral 3\n", "binary file"),
        (GOOD + "\0", "not text"),
        (GOOD.replace("a/x.c", '"a/\\344"').replace("b/x.c", '"b/\\344"'), "unusual characters"),
        (GOOD.replace("a/x.c", '"a/\\014"').replace("b/x.c", '"b/\\014"'), "unusual characters"),
        (GOOD.replace("a/x.c", '"a/\\056\\056/x"').replace("b/x.c", '"b/\\056\\056/x"'), "outside of the source tree"),
        (GOOD.replace("a/x.c", '"a/x').replace("b/x.c", '"b/x'), "quotation mark is missing"),
        (GOOD.replace("a/x.c", '"a/\\x"').replace("b/x.c", '"b/\\x"'), "git does not write so"),
        (GOOD + "diff --git a/../y b/../y\nold mode 100644\nnew mode 100755\n", "outside of the source tree"),
        (
            GOOD + 'diff --git "a/\\056\\056/y" "b/\\056\\056/y"\nold mode 100644\nnew mode 100755\n',
            "outside of the source",
        ),
        (GOOD + "diff --git a/.git/y b/.git/y\nnew file mode 100755\n", "outside of the source tree"),
        (GOOD + "diff --git a/.GIT/y bb/.GIT/y\nnew file mode 100755\n", "outside of the source tree"),
        (GOOD + "diff --git a//y b//y\nnew file mode 100755\n", "outside of the source tree"),
        ("diff --git a/x b/x\nsimilarity index 90%\nrename old x\nrename new ../y\n", "outside of the source tree"),
        # Python's digits are more than git's: what looks like a hunk would hide what follows.
        ("@@ -\u0661,9 +1 @@\n" + GOOD.replace("x.c", "../x.c"), "outside of the source tree"),
        # So would other ends of lines.
        ("x\r" + GOOD + "\x0c\n" + GOOD.replace("x.c", "../x.c"), "outside of the source tree"),
        (GOOD + "+" * 700_000, "640000 are the most"),
    ],
)
def test_bad_patches(text: str, said: str) -> None:
    """What leads out of the tree, is no text or no patch is refused in one line."""
    with pytest.raises(RecipeError, match=said) as caught:
        check_patch(text)
    assert caught.value.field == "patch"
    assert len(str(caught.value)) < 300


def test_id() -> None:
    """A patch is known by its text."""
    assert patch_id(GOOD) != patch_id(GOOD + "\n")


@pytest.mark.parametrize(
    "mode",
    [
        "120000",
        "0120000",
        "0120777",
        "00000120000",
        " 120000",
        "+120000",
        "120000 100644",
        "120000\t",
        "160000",
        "0160000",
    ],
)
@pytest.mark.parametrize(
    "line", ["new file mode {}", "new mode {}", "old mode {}", "deleted file mode {}", "index 1..2 {}"]
)
def test_modes_as_git_reads_them(mode: str, line: str) -> None:
    """However the mode of a link or a submodule is written, it is refused; so is any that git itself would not make."""
    text = f"diff --git a/l b/l\n{line}\n--- a/l\n+++ b/l\n@@ -1 +1 @@\n-a\n+b\n"
    with pytest.raises(RecipeError, match="a symbolic link|a submodule"):
        check_patch(text.format(mode))
    for odd in ("100600", "0", "40000", "0100644", "100644x"):
        with pytest.raises(RecipeError, match="only ordinary files"):
            check_patch(text.format(odd))
    assert check_patch(text.format("100644")) == 1


def test_prose_is_not_looked_at(repository: Miniature) -> None:
    """What `git format-patch` writes around a diff, and a message that speaks of modes, are nobody's matter."""
    repository.commit(
        "Say\n\nnew file mode 120000\nindex of things\n--- a/../x\nrename from ../x", **{"python.c": "int x;\n"}
    )
    assert check_patch(repository.git("format-patch", "--stdout", "-1")) == 1


def test_removed_line_of_dashes_after_a_form_feed(repository: Miniature) -> None:
    """A form feed ends no line: CPython's sources have them, and a removed line `-- x` is no header then either."""
    before = "one\n\x0ctwo\n-- three\nfour\n"
    repository.commit("Feed", **{"feed.py": before})
    patch = repository.diff(**{"feed.py": before.replace("-- three\n", "")})
    assert "\n--- three\n" in patch
    assert check_patch(patch) == 1


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (":100644 100755 111 222 M\tx.c\n:000000 100644 000 333 A\ty.c\n:100644 000000 111 000 D\tz.c\n", None),
        ("", None),
        (":100644 100644 111 222 M\tx.c\n:120000 120000 111 222 M\tlink\n", "a symbolic link, link;"),
        (":120000 000000 111 000 D\tlink\n", "a symbolic link, link;"),
        (':000000 120000 000 111 A\t"d/\\303\\244"\n', "a symbolic link, "),
        (":160000 160000 111 222 M\tmodule\n", "a submodule, module;"),
    ],
)
def test_what_a_patch_has_changed(raw: str, said: str | None) -> None:
    """Only ordinary files may have changed, been made or removed."""
    if said is None:
        check_changes(raw)
        return
    with pytest.raises(RecipeError, match=said):
        check_changes(raw)


NO_END = "\\ No newline at end of file"

#: What a patch may say of the link `link` without saying that it is one: another target, a copy elsewhere, its end.
OF_LINK = (
    f"--- a/link\n+++ b/link\n@@ -1 +1 @@\n-a b\n{NO_END}\n+../secret\n{NO_END}",
    f"diff --git a/link b/link\nindex 1..2\n--- a/link\n+++ b/link\n@@ -1 +1 @@\n-a b\n{NO_END}\n+../secret\n{NO_END}",
    "diff --git a/link b/d/link\nsimilarity index 100%\ncopy from link\ncopy to d/link",
    "diff --git a/link b/d/link\nsimilarity index 100%\nrename from link\nrename to d/link",
    f"--- a/link\n+++ /dev/null\n@@ -1 +0,0 @@\n-a b\n{NO_END}",
)


@pytest.mark.parametrize("patch", OF_LINK)
def test_links_of_the_source(trees: "Trees", patch: str) -> None:
    """A patch that git applies to a link of the source is refused by what it has changed, however it looks."""
    level = check_patch(f"{patch}\n")
    assert trees.apply(f"{patch}\n", level, checked=False)
    assert not trees.apply(f"{patch}\n", level)
    trees.check()


class Trees:
    """A repository, and a copy that patches are applied in, with a file beside it that none may touch.

    It has a link of its own, which none may change either.
    """

    def __init__(self, repository: Miniature, copy: Path) -> None:
        self.repository, self.copy = repository, copy
        files = {"a b": "x\ny\n", "\u00e4/b": "z\n", "feed": "1\n\x0c2\n-- 3\n4\n", "empty": ""}
        (repository.path / "\u00e4").mkdir()
        (repository.path / "link").symlink_to("a b")
        repository.commit("Files", **files)
        repository.fork(copy)
        self.secret = copy.parent / "secret"
        self.secret.write_text("as it was\n")

    def apply(self, patch: str, level: int, *, checked: bool = True) -> bool:
        """Whether the patch could be applied to a clean copy; one that is refused afterwards is taken back."""
        self._clean()
        argv = ["git", "apply", "--index", "--whitespace=nowarn", f"-p{level}", "-"]
        done = subprocess.run(argv, cwd=self.copy, input=patch.encode("utf-8"), capture_output=True, timeout=60)
        if done.returncode != 0:
            return False
        try:
            check_changes(self._git(*patches.CHANGES) if checked else "")
        except RecipeError:
            self._clean()
            return False
        return True

    def check(self) -> None:
        """Nothing outside of the copy was changed, and there is no other link in it than before, nor a submodule."""
        assert self.secret.read_text() == "as it was\n"
        assert sorted(path.name for path in self.copy.parent.iterdir()) == ["copy", "secret"]
        found = [Path(folder, name) for folder, folders, files in os.walk(self.copy) for name in folders + files]
        links = {str(path.relative_to(self.copy)): str(path.readlink()) for path in found if path.is_symlink()}
        assert links == {"link": "a b"}
        modes = {line.split()[0] for line in self._git("ls-files", "--stage").splitlines() if line[-5:] != "\tlink"}
        assert modes <= {"100644", "100755"}

    def same(self) -> bool:
        """Whether both have the same files, and the same in them."""
        return self._git("write-tree") == self.repository.git("write-tree")

    def _clean(self) -> None:
        self._git("reset", "--quiet", "--hard", "origin/main")
        self._git("clean", "--quiet", "-ffdx")

    def _git(self, *arguments: str) -> str:
        return subprocess.run(
            ["git", *arguments], cwd=self.copy, check=True, capture_output=True, text=True, timeout=60
        ).stdout.strip()


@pytest.fixture
def trees(repository: Miniature, tmp_path: Path) -> Trees:
    """A repository and a copy of it."""
    (tmp_path / "outside").mkdir()
    return Trees(repository, tmp_path / "outside" / "copy")


NAMES = st.sampled_from(
    ["a b", "\u00e4/b", "feed", "empty", "python.c", "new", "a/new", "b/\u4e16", 'q"q', "-- x", "t"]
)
TEXTS = st.lists(st.sampled_from(["x", "y", "-- 3", "++ z", "\x0c2", "\r", "", "-- a/../q", "@@ -1 +1 @@"]), max_size=5)
CHANGES = st.lists(
    st.tuples(st.sampled_from(["write", "touch", "chmod", "remove", "move", "link"]), NAMES, NAMES, TEXTS),
    min_size=1,
    max_size=4,
)
FORMS = st.sampled_from([(), ("--no-prefix",), ("--no-renames",), ("-c", "core.quotePath=false"), ("--unified=0",)])


def change(folder: Path, kind: str, name: str, other: str, text: list[str]) -> None:
    """Do one thing to a working copy, as far as that can be done."""
    path, new = folder / name, folder / other
    if kind in ("write", "touch", "link") and not path.parent.is_file():
        path.parent.mkdir(exist_ok=True)
        path.unlink(missing_ok=True) if not path.is_dir() else None
        if path.is_dir():
            return
        path.symlink_to("../secret") if kind == "link" else path.write_text(
            "".join(f"{line}\n" for line in text) if kind == "write" else "", newline=""
        )
    elif kind == "chmod" and path.is_file() and not path.is_symlink():
        path.chmod(0o755)
    elif kind == "remove" and path.is_file():
        path.unlink()
    elif kind == "move" and path.is_file() and not new.exists() and not new.parent.is_file():
        new.parent.mkdir(exist_ok=True)
        path.rename(new)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(changes=CHANGES, form=FORMS)
def test_what_git_diff_writes(
    trees: Trees, changes: list[tuple[str, str, str, list[str]]], form: tuple[str, ...]
) -> None:
    """Whatever `git diff` writes of ordinary files is taken, and applied at its level it gives the same files."""
    repository = trees.repository
    repository.git("reset", "--quiet", "--hard")
    for one in changes:
        change(repository.path, *one)
    repository.git("add", "--all")
    first, rest = (form[:2], form[2:]) if form[:1] == ("-c",) else ((), form)
    argv = ["git", *first, "diff", "--cached", "-M", *rest]
    patch = subprocess.run(argv, cwd=repository.path, check=True, capture_output=True).stdout.decode()
    staged = [line for line in repository.git("ls-files", "--stage").splitlines() if not line.endswith("\tlink")]
    links = {line.split()[0] for line in staged} - {"100644", "100755"}
    try:
        level = check_patch(patch)
    except RecipeError as exc:
        assert links or not patch or 'q"q' in "".join(name for _, *names, _ in changes for name in names), (patch, exc)
        return
    assert not links, patch
    if "--unified=0" not in form:  # which cannot be applied without being asked to
        assert trees.apply(patch, level), patch
        trees.check()
        assert trees.same(), patch


HEADERS = (
    "diff --git a/{0} b/{1}",
    'diff --git "a/{0}" "b/{1}"',
    "diff --git {0} {1}",
    "--- a/{0}",
    "+++ b/{0}",
    "--- {0}",
    "+++ {0}",
    '--- "a/{0}"',
    "--- /dev/null",
    "+++ /dev/null",
    "rename from {0}",
    "rename to {1}",
    "rename new {1}",
    "copy from {0}",
    "copy to {1}",
    "new file mode {2}",
    "new mode {2}",
    "old mode 100644",
    "deleted file mode {2}",
    "index 0000000..1111111 {2}",
    "similarity index 100%",
    "@@ -1 +1 @@",
    "@@ -0,0 +1 @@",
    "@@ -1,2 +1,2 @@",
    "+../secret",
    "-x",
    " y",
    "\\ No newline at end of file",
    "",
)
PATHS = st.sampled_from(
    [
        "t",
        "a b",
        "feed",
        "../secret",
        "d/../../secret",
        ".git/hooks/x",
        "/secret",
        "\\056\\056/secret",
        "new",
        "a//t",
        "\u00e4/b",
        "link",
        "d/link",
    ]
)
MODES = st.sampled_from(
    ["100644", "100755", "120000", "0120777", " 120000", "+120000", "160000", "0160000", "120000 x"]
)
# Whole beginnings and single lines in any order: git takes few of the latter, and each is another question.
LINKS = (
    "diff --git a/{0} b/{0}\nnew file mode {2}\n--- /dev/null\n+++ b/{0}\n@@ -0,0 +1 @@\n+../secret",
    "diff --git a/{0} b/{0}\nnew file mode {2}",
    "diff --git a/{0} b/{0}\nold mode 100644\nnew mode {2}",
    "diff --git a/a b b/{1}\nnew mode {2}\nsimilarity index 100%\nrename from a b\nrename to {1}",
    "diff --git a/empty b/{1}\nsimilarity index 100%\ncopy old empty\ncopy from empty\ncopy to {1}\nnew mode {2}",
    "--- a/a b\n+++ b/{0}\n@@ -1,2 +1,2 @@\n-x\n+../secret\n y",
    *OF_LINK,
)
LINES = st.builds(lambda line, *words: line.format(*words), st.sampled_from(HEADERS + LINKS * 4), PATHS, PATHS, MODES)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(lines=st.lists(LINES, min_size=1, max_size=6), end=st.sampled_from(["\n", "\n", "\r\n", "\n\x0c"]))
def test_what_is_passed_stays_inside(trees: Trees, lines: list[str], end: str) -> None:
    """Whatever is passed, git changes nothing outside of the tree by it, and makes no link."""
    patch = end.join(lines) + "\n"
    try:
        level = check_patch(patch)
    except RecipeError as exc:
        assert "\n" not in str(exc)
        return
    trees.apply(patch, level)
    trees.check()
