"""Flags of a build, and free arguments of configure."""

import pytest

from benchyard.tasks.errors import RecipeError
from benchyard.tasks.flags import FLAGS, check_configure_args, check_flags, flag_options


def test_flags_are_sorted_and_once() -> None:
    """The order in which flags are given means nothing."""
    assert check_flags(["pgo", "lto", "pgo"]) == ("lto", "pgo")
    assert flag_options(("lto", "pgo")) == ("--with-lto", "--enable-optimizations")


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["pgoo"], "did you mean 'pgo'"),
        (["zzzz"], "there are bolt, debug"),
        (["debug", "pgo"], "exclude each other"),
        (["nogil", "jit"], "exclude each other"),
        (["--with-lto; id"], "unknown flag"),
    ],
)
def test_bad_flags(flags: list[str], said: str) -> None:
    """Unknown and conflicting flags are refused with the remedy."""
    with pytest.raises(RecipeError, match=said) as caught:
        check_flags(flags)
    assert caught.value.field == "flags"


def test_every_flag_is_an_option_of_configure() -> None:
    """The table has options alone: they stand on a command line."""
    assert all(flag.option.startswith("--") and " " not in flag.option for flag in FLAGS.values())


@pytest.mark.parametrize(
    "argument", ["--with-computed-gotos", "CFLAGS=-O3 -march=native", "--enable-x=y", "ac_cv_x=no", "--without-x"]
)
def test_good_arguments(argument: str) -> None:
    """Options and variables of configure are taken as they are."""
    assert check_configure_args([argument]) == (argument,)


@pytest.mark.parametrize(
    "argument", ["-x", "make", "--enable-shared", "--with-a\nb", "--with-=a", "a-b=c", "\u0661=x", ""]
)
def test_bad_arguments(argument: str) -> None:
    """What is none, and what the lab itself says, is refused."""
    with pytest.raises(RecipeError):
        check_configure_args([argument])


@pytest.mark.parametrize(
    "argument",
    [
        *(
            "--prefix=/",
            "--prefi=/",
            "--libdi=/x",
            "--exec=/",
            "--exec_prefix=/",
            "--srcdi=.",
            "--cache-fil=/x",
            "--c=/x",
        ),
        *("prefix=/", "exec_prefix=/", "libdir=/x", "no_create=yes", "cache_file=/x"),
        *("--help", "--hel", "--version", "--no-create", "--no-recursion", "-C", "-n", "--enable-option-checking=no"),
    ],
)
def test_where_it_is_installed_is_the_labs(argument: str) -> None:
    """No spelling of an option that would install elsewhere or do nothing is taken: configure knows abbreviations."""
    with pytest.raises(RecipeError) as caught:
        check_configure_args([argument])
    assert caught.value.field == "configure_args"
