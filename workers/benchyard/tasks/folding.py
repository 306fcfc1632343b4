"""Stacks that a profiler has seen, folded: each stack once, as `outermost;...;innermost N`, with how often it was seen.

That is the format of FlameGraph's tools (https://github.com/brendangregg/FlameGraph), which py-spy calls raw.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping

#: A stack, the outermost frame first.
Stack = tuple[str, ...]

# What pyperf's worker calls its benchmark from, as py-spy and CPython's trampolines for perf name it.
_CALLER = re.compile(r"_compute_values\b.*pyperf/_worker\.py")
_PYPERF = re.compile(r"\bpyperf/_(?:worker|runner|manager|hooks|process_time|command)\.py")
_BEGINNING = re.compile(r"<frozen importlib|\(site\.py|<frozen site>|<frozen runpy>")
# A frame of `perf script`: address, symbol with its offset, and in brackets what the symbol is from.
_FRAME = re.compile(r"\s*[0-9a-f]+ (?P<symbol>.+) \((?P<of>.*)\)$")
_OFFSET = re.compile(r"\+0x[0-9a-f]+$")
_UNKNOWN = "[unknown]"


def parse_folded(text: str) -> Counter[Stack]:
    """Read the folded format; lines that are none are left out."""
    stacks: Counter[Stack] = Counter()
    for line in text.splitlines():
        frames, _space, count = line.rpartition(" ")
        if frames and count.isascii() and count.isdigit():
            stacks[tuple(frames.split(";"))] += int(count)
    return stacks


def format_folded(stacks: Mapping[Stack, int]) -> str:
    """Write the folded format, sorted; a frame's own semicolons and line ends would end it."""
    lines = (f"{';'.join(map(_cleaned, stack))} {count}\n" for stack, count in stacks.items() if stack and count)
    return "".join(sorted(lines))


def fold_perf_script(text: str) -> Counter[Stack]:
    """Fold what `perf script -F comm,tid,ip,sym,dso` prints: blocks of a header and frames, the innermost first.

    Of CPython's trampolines, `py::NAME:FILE`, the last two parts of the path are kept, as py-spy does. Frames that perf
    has no name for are left out.
    """
    stacks: Counter[Stack] = Counter()
    for block in re.split(r"\n\s*\n", text):
        frames = [match for line in block.splitlines() if (match := _FRAME.match(line))]
        names = [_name(frame["symbol"], frame["of"]) for frame in reversed(frames)]
        known = tuple(name for name in names if name != _UNKNOWN)
        if known:
            stacks[known] += 1
    return stacks


def benchmark_stacks(stacks: Mapping[Stack, int], script: str = "run_benchmark.py") -> Counter[Stack]:
    """What the benchmark itself did: below the frames of pyperf, without the beginning of its process.

    `script` is the benchmark's own, which is run as a program. Stacks of other threads and processes, and those that
    have C functions only, are the benchmark's, and stay whole.
    """
    found: Counter[Stack] = Counter()
    for stack, count in stacks.items():
        frames = _without_process(stack)
        if any(_CALLER.search(frame) for frame in frames):
            frames = _below_pyperf(frames)
        elif _is_of_pyperf(frames, script):
            continue
        if frames:
            found[frames] += count
    return found


def merged(parts: Iterable[Mapping[Stack, int]]) -> Counter[Stack]:
    """All stacks of several profiles."""
    found: Counter[Stack] = Counter()
    for part in parts:
        found.update(part)
    return found


def _below_pyperf(stack: Stack) -> Stack:
    last = max((index for index, frame in enumerate(stack) if _PYPERF.search(frame)), default=-1)
    return stack[last + 1 :]


def _is_of_pyperf(stack: Stack, script: str) -> bool:
    """Whether it is of a process that begins or ends: imports, options, what pyperf notes of the machine."""
    if any(_PYPERF.search(frame) or frame.startswith(f"<module> ({script}") for frame in stack):
        return True
    return bool(stack) and _BEGINNING.search(stack[0]) is not None


def _without_process(stack: Stack) -> Stack:
    """py-spy's first frame is a process with its whole command line, another each time."""
    return stack[1:] if stack and stack[0].startswith("process ") else stack


def _name(symbol: str, of: str) -> str:
    symbol = _OFFSET.sub("", symbol.strip())
    if symbol.startswith("py::"):
        name, _colon, path = symbol.removeprefix("py::").rpartition(":")
        return f"{name} ({'/'.join(path.split('/')[-2:])})"
    if symbol == _UNKNOWN and of not in ("", _UNKNOWN):
        return f"[{of.rpartition('/')[2]}]"
    return symbol


def _cleaned(frame: str) -> str:
    return " ".join(frame.replace(";", ":").split())
