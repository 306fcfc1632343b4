"""Patches that come from outside."""

import pytest
from miniature import Miniature

from benchyard.tasks.errors import RecipeError
from benchyard.tasks.patches import check_patch, patch_id

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
        ('--- "a/\\303\\244"\n+++ "b/\\303\\244"\n@@ -1 +1 @@\n-a\n+b\n', "unusual characters"),
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
