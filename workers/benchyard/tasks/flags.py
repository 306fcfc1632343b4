"""Build flags of an interpreter: the one table of what each means to CPython's `configure`."""

import difflib
import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from benchyard.tasks.errors import RecipeError


class Flag(NamedTuple):
    """A flag: the option of `configure` that turns it on, and the option's values that leave it off."""

    option: str
    off: frozenset[str]
    meaning: str


_JIT_OFF = frozenset({"no", "yes-off", "interpreter", "interpreter-off"})

FLAGS = {
    "bolt": Flag("--enable-bolt", frozenset({"no"}), "post-link optimization by BOLT"),
    "debug": Flag("--with-pydebug", frozenset({"no"}), "assertions and reference counts: for debugging, not for speed"),
    "jit": Flag(
        "--enable-experimental-jit",
        frozenset({"no", "yes-off", "interpreter", "interpreter-off"}),
        "the JIT compiler (3.13+)",
    ),
    "lto": Flag("--with-lto", frozenset({"no"}), "link-time optimization"),
    "nogil": Flag("--disable-gil", frozenset({"no"}), "free threading (3.13+)"),
    "pgo": Flag("--enable-optimizations", frozenset({"no"}), "profile-guided optimization"),
    "tailcall": Flag("--with-tail-call-interp", frozenset({"no"}), "the tail-calling interpreter (3.14+)"),
}

#: Pairs that exclude each other, and why.
CONFLICTS = {
    ("debug", "pgo"): "a debug build is not optimized",
    ("debug", "bolt"): "a debug build is not optimized",
    ("jit", "nogil"): "CPython has no JIT without the GIL",
}

#: What the lab itself gives to `configure`, or relies on; free arguments may not say otherwise.
RESERVED = ("enable-shared", "enable-option-checking", "disable-option-checking", "with-ensurepip", "without-ensurepip")

# All others of its options say where to install, or that nothing is to be done, and may be abbreviated; a variable in
# small letters, such as `prefix=/`, is one of its own.
_OPTION = re.compile(r"--((?:enable|disable|with|without)-[A-Za-z0-9][A-Za-z0-9_.-]*)(?:=.*)?", re.ASCII)
_VARIABLE = re.compile(r"(?:[A-Z][A-Z0-9_]*|(?:ac|py)_cv_[A-Za-z0-9_]+)=.*", re.ASCII)


def check_flags(flags: Iterable[str]) -> tuple[str, ...]:
    """Return the flags sorted, each once; RecipeError for one that there is not, or two that exclude each other."""
    chosen = sorted(set(flags))
    for flag in chosen:
        if flag not in FLAGS:
            near = difflib.get_close_matches(flag, FLAGS, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(FLAGS)}"
            raise RecipeError("flags", f"unknown flag {flag[:60]!r}; {hint}")
    for (one, other), why in CONFLICTS.items():
        if one in chosen and other in chosen:
            raise RecipeError("flags", f"the flags {one} and {other} exclude each other: {why}; leave one out")
    return tuple(chosen)


def flag_options(flags: Sequence[str]) -> tuple[str, ...]:
    """Return the options of `configure` for flags that `check_flags` has passed."""
    return tuple(FLAGS[flag].option for flag in flags)


def check_configure_args(arguments: Iterable[str]) -> tuple[str, ...]:
    """Return free arguments of `configure` as they are; RecipeError for what is none or is the lab's to say."""
    checked = tuple(arguments)
    for argument in checked:
        option = _OPTION.fullmatch(argument)
        if not argument.isprintable() or not (option or _VARIABLE.fullmatch(argument)):
            wanted = "--enable-X, --disable-X, --with-X, --without-X or VARIABLE=value"
            raise RecipeError("configure_args", f"{argument[:80]!r} is not to be given to configure; say {wanted}")
        if option and option[1] in RESERVED:
            raise RecipeError("configure_args", f"--{option[1]} is the lab's own to set; leave it out")
    return checked
