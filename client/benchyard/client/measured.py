"""What a result was measured of and under, and the files that belong to it."""

from typing import Any

import msgspec

from benchyard.client.entities import Document


class Interpreter(msgspec.Struct, frozen=True, kw_only=True):
    """What was measured: a built Python as its host saw it; the id is the hash of what it was made of.

    One that the lab has built says where its commit is from, with the SHA-256 of the `patch` on top, and what it was
    built with (`environ` and `toolchain`).
    """

    id: str = ""
    executable: str = ""
    implementation: str = ""
    version: str = ""
    commit: str | None = None
    branch: str | None = None
    build_date: str | None = None
    flags: tuple[str, ...] = ()
    configure_args: str = ""
    compiler: str = ""
    machine: str = ""
    system: str = ""
    libc: str = ""
    remote: str | None = None
    url: str | None = None
    ref: str | None = None
    merge_base: str | None = None
    patch: str | None = None
    sysconfig: dict[str, Any] = {}
    environ: dict[str, str] = {}
    toolchain: dict[str, Any] | None = None


class Attachment(Document, frozen=True, kw_only=True):
    """A file that belongs to a result besides its own, such as a flame graph; `sha256` in hex, `size` in bytes."""

    name: str
    content_type: str = "application/octet-stream"
    size: int = 0
    sha256: str = ""


class Measurement(Document, frozen=True, kw_only=True):
    """What one benchmark gave in one result: `n` values in `unit` ("second", "byte", "integer"), reduced.

    `stdev` is None for a single value, `mad` the median of what the values are off their `median`. `memory` is the most
    that one of its processes had, in bytes, `version` the benchmark's own; None and empty where the file does not say.
    """

    name: str
    unit: str
    n: int
    mean: float
    stdev: float | None = None
    median: float
    mad: float
    minimum: float
    maximum: float
    memory: float | None = None
    version: str = ""


class HostPrint(msgspec.Struct, frozen=True, kw_only=True):
    """The host's part of a fingerprint; `isolation` is how the measuring CPUs were kept free of others in this run."""

    cpu: str = ""
    microcode: str = ""
    kernel: str = ""
    governor: str = ""
    boost: str = ""
    smt: str = ""
    isolation: str = ""


class Fingerprint(msgspec.Struct, frozen=True, kw_only=True):
    """Under which conditions a result was measured; the document of the result has more of it."""

    host: HostPrint = HostPrint()
    libc: str = ""
    compiler: str = ""
    suite: str = ""
