"""The whole REST interface under requests that nobody would think of, made from its own OpenAPI document."""

import json
import sys
import time
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hypothesis
import msgspec
import pytest
import requests
import schemathesis
import urllib3
from schemathesis.config import SchemathesisConfig

from benchyard.web.openapi import document
from benchyard.web.routes import ROUTES

if TYPE_CHECKING:
    from tests.web.conftest import Lab

SEED = 20261122

#: Seconds within which an answer must begin, and for which a stream, which has no end, is read.
ANSWER_S, STREAM_S = 20.0, 1.0

#: Bytes of a request's first line: what is longer Twisted hangs up on, whatever it says.
LONGEST = 16_000

#: What is checked of each answer. Of schemathesis' checks these are left out:
#: - positive_data_acceptance: what fits the schema may still be refused, as when no job has that number;
#: - missing_required_header, ignored_auth: who may do what without a token is in test_matrix.py;
#: - use_after_free, ensure_resource_availability: these follow links between operations, which our document has not.
CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_schema_conformance",
    "response_headers_conformance",
    "negative_data_rejection",
    "unsupported_method",
)

#: Names and numbers that exist at the start, in the place of most random ones, which would all end in a 404.
#: `admin` and `me` are not among them: the caller must not take away its own rights.
KNOWN: dict[str, list[Any]] = {
    "job_id": list(range(1, 13)),
    "result_id": list(range(1, 7)),
    "token_id": list(range(1, 7)),
    "notice_id": list(range(1, 7)),
    "regression_id": list(range(1, 7)),
    "target": [],
    "name": ["ada", "bob", "vic", "spare-0", "spare-1"],
}

KNOWN_IN_BODY: dict[str, Any] = {"benchmarks": ["nbody"], "job": 3, "python": str(Path(sys.executable).resolve())}

#: Requests sent, by operation.
COUNT: Counter[str] = Counter()


@pytest.fixture(scope="module")
def fuzzed(make_lab: "Callable[..., Lab]") -> "Lab":
    """A lab that nothing runs in, with a few jobs in and off the queue, results, users and hosts."""
    lab = make_lab()
    KNOWN["target"] = [lab.target]
    KNOWN_IN_BODY["target"] = lab.target
    for name, role in (("ada", "member"), ("bob", "member"), ("vic", "viewer")):
        lab.add_user(name, role)
    for number in range(8):
        lab.submit("ada" if number % 2 else "admin", run=number < 5)
    for number in range(4):
        assert lab.call("POST", "/results", "ada", json={"host": f"far-{number}"}).status_code == 201
    assert lab.call("PUT", "/results/1/file", "ada", content=pyperf_file()).status_code == 200
    for number in range(2):
        host = {"name": f"spare-{number}", "role": "worker", "target": lab.target, "address": "spare.example"}
        assert lab.call("POST", "/hosts", "admin", json=host).status_code == 201
    return lab


def pyperf_file() -> bytes:
    """A small file that pyperf takes for its own."""
    suite = {"version": "1.0", "metadata": {"name": "nbody"}, "benchmarks": [{"runs": [{"values": [0.1, 0.2]}]}]}
    return json.dumps(suite).encode()


def described() -> Any:
    """The interface as its own document describes it; that the lab serves this one is a test below."""
    generation = {"mode": "all", "max-examples": 10, "deterministic": True, "no-shrink": True}
    config = SchemathesisConfig.from_dict({"seed": SEED, "generation": generation})
    return schemathesis.openapi.from_dict(json.loads(msgspec.json.encode(document(ROUTES))), config=config)


class Impatient(requests.Session):
    """Reads what never ends for a moment only, and all else to its end within a bound."""

    def send(self, request: Any, **options: Any) -> Any:
        hypothesis.assume(len(request.path_url) <= LONGEST)
        answer = super().send(request, **{**options, "stream": True, "timeout": ANSWER_S})
        endless = request.path_url.partition("?")[0].endswith(("/events", "/log")) and answer.ok
        ends, pieces = time.monotonic() + ANSWER_S, []
        if endless:
            connection: Any = answer.raw._fp
            connection.fp.raw._sock.settimeout(STREAM_S)
        try:
            for piece in answer.raw.stream(65536, decode_content=True):
                pieces.append(piece)
                assert time.monotonic() < ends, f"{request.url} goes on for more than {ANSWER_S:.0f} s"
        except urllib3.exceptions.ReadTimeoutError:
            assert endless, f"{request.url} hangs"
            answer.raw.close()
        answer._content = b"".join(pieces)
        return answer


@pytest.fixture(scope="module")
def session() -> "Iterator[requests.Session]":
    with Impatient() as session:
        session.trust_env = False
        yield session


def use_known(case: Any) -> None:
    """Three times of four something that exists takes the place of a random number or name, by the latter's hash."""
    location = schemathesis.core.parameters.ParameterLocation
    modes = case.meta.components if case.meta else {}
    path = modes.get(location.PATH)
    if path is not None and path.mode.is_positive:
        for name, value in case.path_parameters.items():
            digest = zlib.crc32(repr(value).encode())
            if digest % 4:
                case.path_parameters[name] = KNOWN[name][digest // 4 % len(KNOWN[name])]
    body = modes.get(location.BODY)
    if body is not None and body.mode.is_positive and isinstance(case.body, dict):
        for name, value in KNOWN_IN_BODY.items():
            if name in case.body and zlib.crc32(repr(case.body[name]).encode()) % 4:
                case.body[name] = value


@described().parametrize()  # type: ignore[untyped-decorator]
@hypothesis.settings(deadline=None, suppress_health_check=list(hypothesis.HealthCheck))
def test_whatever_is_sent(case: Any, fuzzed: "Lab", session: requests.Session) -> None:
    """No request makes the lab fail, hang, or answer otherwise than its document says."""
    use_known(case)
    answer = case.call(fuzzed.api, session, headers={"Authorization": f"Bearer {fuzzed.tokens['admin']}"})
    COUNT[case.operation.label] += 1
    case.validate_response(answer, checks=[getattr(schemathesis.checks, name) for name in CHECKS])
