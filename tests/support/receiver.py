"""A real HTTP server that takes what is sent to it, or does not, as a test wants it."""

import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Received:
    """A request as it came; names of headers are in lower case."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True)
class Answer:
    """How a request is answered.

    With `cut` the connection breaks before the last byte of the body; with `drip_s` the body comes byte by byte, a
    pause before each. `hold` keeps the answer back until it is set. Whether the request counts as `taken` has nothing
    to do with what is answered: a server may save, and then fail.
    """

    status: int = 200
    body: bytes = b"thanks"
    headers: dict[str, str] = field(default_factory=dict)
    taken: bool | None = None
    cut: bool = False
    drip_s: float = 0.0
    hold: threading.Event | None = None


class Receiver:
    """The server; `answers` are given one after the other, and then `otherwise`. It keeps its port while it is down.

    With the file of a `certificate` and its key it speaks TLS.
    """

    def __init__(self, certificate: Path | None = None) -> None:
        self._certificate = certificate
        self.answers: list[Answer] = []
        self.otherwise = Answer()
        self.seen: list[Received] = []
        self.taken: list[Received] = []
        self._server: ThreadingHTTPServer | None = None
        self._port = 0
        self._lock = threading.Lock()
        self._connections: set[socket.socket] = set()
        self.up()

    @property
    def url(self) -> str:
        return f"{'https' if self._certificate else 'http'}://127.0.0.1:{self._port}"

    def up(self) -> None:
        """Listen, on the same port as before."""
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def setup(self) -> None:
                super().setup()
                receiver._connections.add(self.connection)

            def do_POST(self) -> None:
                receiver.handle(self)

            do_GET = do_PUT = do_PATCH = do_DELETE = do_POST

            def log_message(self, format: str, *args: object) -> None:
                """Say nothing: a test's output is for its failures."""

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            allow_reuse_address = True

            def handle_error(self, request: Any, client_address: Any) -> None:
                """A client that went away is what some tests are about."""

        self._server = Server(("127.0.0.1", self._port), Handler)
        self._port = self._server.server_port
        if self._certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(self._certificate)
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    def down(self) -> None:
        """Refuse all connections, and end those that there are."""
        server, self._server = self._server, None
        if server is not None:
            server.shutdown()
            server.server_close()
        for connection in list(self._connections):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        self._connections.clear()

    def handle(self, handler: BaseHTTPRequestHandler) -> None:
        body = handler.rfile.read(int(handler.headers.get("Content-Length") or 0))
        headers = {name.lower(): value for name, value in handler.headers.items()}
        received = Received(handler.command, handler.path, headers, body)
        with self._lock:
            answer = self.answers.pop(0) if self.answers else self.otherwise
            self.seen.append(received)
            if answer.taken if answer.taken is not None else answer.status < 300:
                self.taken.append(received)
        if answer.hold is not None:
            answer.hold.wait(60)
        with suppress(OSError):
            send(handler, answer)


def send(handler: BaseHTTPRequestHandler, answer: Answer) -> None:
    handler.send_response(answer.status)
    for name, value in {"Content-Type": "text/plain", **answer.headers}.items():
        handler.send_header(name, value)
    handler.send_header("Content-Length", str(len(answer.body)))
    handler.end_headers()
    if answer.cut:
        handler.wfile.write(answer.body[:-1])
        handler.wfile.flush()
        handler.connection.shutdown(socket.SHUT_RDWR)
        handler.close_connection = True
        return
    for piece in [answer.body[at : at + 1] for at in range(len(answer.body))] if answer.drip_s else [answer.body]:
        time.sleep(answer.drip_s)
        handler.wfile.write(piece)
        handler.wfile.flush()


@contextmanager
def receiving(certificate: Path | None = None) -> Iterator[Receiver]:
    """A server that is up, and down in the end."""
    receiver = Receiver(certificate)
    try:
        yield receiver
    finally:
        for answer in (*receiver.answers, receiver.otherwise):
            if answer.hold is not None:
                answer.hold.set()
        receiver.down()


def make_certificate(path: Path) -> Path:
    """A certificate for 127.0.0.1 that nobody has signed, with its key, in one file."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a test's own")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    plain = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path.write_bytes(made.public_bytes(serialization.Encoding.PEM) + key.private_bytes(*plain))
    return path
