"""Finding out what an interpreter is, by asking it in a process of its own that is not trusted to behave."""

import contextlib
import hashlib
import json
import os
import re
import select
import shlex
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import msgspec

from benchyard.tasks.errors import InterpreterError
from benchyard.tasks.flags import FLAGS
from benchyard.tasks.recipe import Toolchain

_MARK = "BENCHYARD-INTERPRETER "
# More than the answer ever has (2 kB); a program that is no Python may print without end.
_MAX_OUTPUT = 256 * 1024

# Runs in the inspected interpreter, so it is plain old Python: 2.7 must understand it, too.
_PROBE = """\
import json, os, platform, sys, sysconfig
implementation = getattr(sys, "implementation", None)
git = getattr(sys, "_git", None) or getattr(sys, "_mercurial", None) or ("", "", "")
answer = {
    "executable": os.path.realpath(sys.executable),
    "implementation": implementation.name if implementation else platform.python_implementation().lower(),
    "sys_version": sys.version,
    "branch": git[1],
    "commit": git[2],
    "build": platform.python_build()[1],
    "compiler": platform.python_compiler(),
    "configure_args": sysconfig.get_config_var("CONFIG_ARGS") or "",
    "debug": bool(sysconfig.get_config_var("Py_DEBUG")),
    "nogil": bool(sysconfig.get_config_var("Py_GIL_DISABLED")),
    "machine": platform.machine(),
    "system": platform.system().lower(),
    "libc": " ".join(platform.libc_ver()).strip(),
    "sysconfig": dict((name, sysconfig.get_config_var(name)) for name in NAMES),
}
sys.stdout.write("\\n" + MARK + json.dumps(answer) + "\\n")
sys.stdout.flush()
"""

# Of sysconfig's hundreds of variables, those that say how a Python was built.
_SYSCONFIG = (
    "CC",
    "CFLAGS",
    "CONFIGURE_CFLAGS",
    "CONFIGURE_LDFLAGS",
    "EXT_SUFFIX",
    "LDFLAGS",
    "MULTIARCH",
    "OPT",
    "PROFILE_TASK",
    "SOABI",
)
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


class Interpreter(msgspec.Struct, frozen=True):
    """A built Python.

    `id` is the SHA-256 of what tells it from every other: real path, sys.version (which has the build's date
    and time), configure arguments, commit and compiler. `executable` is the real path; run the path that was
    asked for instead, or a virtual environment would lose itself. `sysconfig` has the variables that say how it was
    built, `patch` the SHA-256 of what was applied to the commit. One that the lab has built has the id and the full
    commit of its build, the compiler variables it was given (`environ`) and what it was built with.
    """

    id: str
    executable: str
    implementation: str
    version: str
    commit: str | None
    branch: str | None
    build_date: str | None
    flags: tuple[str, ...]
    configure_args: str
    compiler: str
    machine: str
    system: str
    libc: str = ""
    patch: str | None = None
    sysconfig: dict[str, Any] = {}
    environ: dict[str, str] = {}
    toolchain: Toolchain | None = None


def inspect_interpreter(python: str, *, timeout_s: float = 20.0) -> Interpreter:
    """Return what the interpreter at an absolute path is; Python 2.7 and later.

    Raises InterpreterError, one line that names the path, for whatever is not a Python that answers within
    `timeout_s`.
    """
    _check_path(python)
    return _interpreter(python, _ask(python, timeout_s))


def version_numbers(interpreter: Interpreter) -> tuple[int, int, int]:
    """Return the release an interpreter's version belongs to: (3, 15, 0) for "3.15.0a1+"."""
    match = re.match(r"([0-9]+)\.([0-9]+)(?:\.([0-9]+))?", interpreter.version)
    if match is None:
        raise InterpreterError(
            f"interpreter {interpreter.executable!r} has the version {interpreter.version!r}, not a number"
        )
    return int(match[1]), int(match[2]), int(match[3] or 0)


def _check_path(python: str) -> None:
    if not python or any(ord(char) < 32 or 127 <= ord(char) < 160 for char in python):
        raise InterpreterError(f"interpreter {python!r} is not a path: it is empty or has control characters")
    path = Path(python)
    if not path.is_absolute():
        raise InterpreterError(f"interpreter {python!r} is not an absolute path")
    try:
        exists, is_file = path.exists(), path.is_file()
    except OSError as exc:  # a name too long, a directory that may not be searched
        raise InterpreterError(f"interpreter {python!r} cannot be looked at: {exc.strerror}") from exc
    if not exists:
        raise InterpreterError(f"interpreter {python!r} does not exist")
    if not is_file:
        raise InterpreterError(f"interpreter {python!r} is not a file")
    if not os.access(path, os.X_OK):
        raise InterpreterError(f"interpreter {python!r} is not executable")


def _ask(python: str, timeout_s: float) -> dict[str, Any]:
    # -E and -s: the answer is about the interpreter, not about the caller's variables and user packages.
    argv = [python, "-E", "-s", "-c", _PROBE.replace("MARK", repr(_MARK)).replace("NAMES", repr(_SYSCONFIG))]
    try:
        process = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd="/",
            start_new_session=True,
        )
    except (OSError, ValueError) as exc:
        reason = exc.strerror if isinstance(exc, OSError) else exc
        raise InterpreterError(f"interpreter {python!r} cannot be run: {reason}") from exc
    try:
        output, ended = _read(process, time.monotonic() + timeout_s)
        try:
            status = process.wait(timeout=1.0) if ended else None
        except subprocess.TimeoutExpired:
            status = None
    finally:
        # The whole session: a wrapper script may have left children behind.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        if process.stdout:
            process.stdout.close()
    for line in output.decode("utf-8", "replace").splitlines():
        if line.startswith(_MARK):
            return _decode(python, line.removeprefix(_MARK))
    if not ended:
        problem = "prints without end" if len(output) >= _MAX_OUTPUT else f"did not answer within {timeout_s:g} s"
    elif status is not None and status < 0:
        problem = f"crashed (killed by signal {-status})"
    else:
        last = output.decode("utf-8", "replace").strip().splitlines()[-1:]
        shown = "".join(char for char in "".join(last)[:120] if char.isprintable())
        problem = f"is not a Python (exit status {status}{': ' + shown if shown else ''})"
    raise InterpreterError(f"interpreter {python!r} {problem}")


def _read(process: "subprocess.Popen[bytes]", deadline: float) -> tuple[bytes, bool]:
    """Return the output up to the answer or its end, and whether the program came to its end by itself."""
    assert process.stdout is not None  # noqa: S101  (it was asked for: this is for the type checker)
    fd = process.stdout.fileno()
    output = b""
    mark = b"\n" + _MARK.encode()
    while len(output) < _MAX_OUTPUT:
        ready, _, _ = select.select([fd], [], [], max(0.0, deadline - time.monotonic()))
        if not ready:
            return output, False
        chunk = os.read(fd, 65536)
        if not chunk:
            return output, True
        output += chunk
        start = output.find(mark)
        if start >= 0 and b"\n" in output[start + 1 :]:
            return output, True
    return output, False


def _decode(python: str, text: str) -> dict[str, Any]:
    try:
        answer = json.loads(text)
    except ValueError as exc:
        raise InterpreterError(f"interpreter {python!r} gave an answer that is not JSON") from exc
    if not isinstance(answer, dict) or not str(answer.get("sys_version", "")).strip():
        raise InterpreterError(f"interpreter {python!r} gave an answer without a version")
    return answer


def _interpreter(python: str, answer: dict[str, Any]) -> Interpreter:
    commit = _known(answer.get("commit"))
    compiler = str(answer.get("compiler") or "").strip()
    identity = {
        "executable": str(answer.get("executable") or os.path.realpath(python)),
        "sys_version": str(answer["sys_version"]),
        "configure_args": str(answer.get("configure_args") or ""),
        "commit": commit,
        "compiler": compiler,
    }
    canonical = json.dumps(identity, sort_keys=True, separators=(",", ":")).encode()
    branch = _known(answer.get("branch"))
    return Interpreter(
        id=hashlib.sha256(canonical).hexdigest(),
        executable=str(identity["executable"]),
        implementation=str(answer.get("implementation") or "cpython"),
        version=str(answer["sys_version"]).split()[0],
        commit=commit,
        branch=re.sub(r"^(heads|tags|remotes)/", "", branch) if branch else None,
        build_date=build_date(str(answer.get("build") or "")),
        flags=flags(answer),
        configure_args=str(identity["configure_args"]),
        compiler=compiler,
        machine=str(answer.get("machine") or ""),
        system=str(answer.get("system") or ""),
        libc=str(answer.get("libc") or ""),
        sysconfig=_plain(answer.get("sysconfig")),
    )


def _plain(value: object) -> dict[str, Any]:
    """Variables of sysconfig that have a value; a long one is cut."""
    items = value.items() if isinstance(value, dict) else ()
    return {str(name): text[:2000] if isinstance(text, str) else text for name, text in items if text not in (None, "")}


def _known(value: object) -> str | None:
    text = str(value or "").strip()
    return None if text in ("", "undefined", "unknown", "default") else text


def build_date(build: str) -> str | None:
    """Return the ISO date of a compiler's "Dec  4 2023 10:11:12" (with a comma in Python 2), None if it is
    not one.
    """
    match = re.search(r"\b([A-Z][a-z]{2})\s+([0-9]{1,2}),?\s+([0-9]{4})\b", build)
    if match is None or match[1] not in _MONTHS:
        return None
    return f"{match[3]}-{_MONTHS.index(match[1]) + 1:02}-{int(match[2]):02}"


def flags(answer: dict[str, Any]) -> tuple[str, ...]:
    """Return the build flags that are on, sorted: debug jit lto nogil pgo tailcall and so on."""
    found = {name for name in ("debug", "nogil") if answer.get(name)}
    try:
        arguments = shlex.split(str(answer.get("configure_args") or ""))
    except ValueError:  # unbalanced quotes
        arguments = str(answer.get("configure_args") or "").split()
    for argument in arguments:  # the last mention of an option wins, as with configure
        for name, (option, off, _meaning) in FLAGS.items():
            opposite = option.replace("--enable-", "--disable-").replace("--with-", "--without-")
            option_name, _, value = argument.partition("=")
            if option_name == option and value not in off:
                found.add(name)
            elif option_name == option or (opposite != option and option_name == opposite):
                found.discard(name)
    return tuple(sorted(found))
