"""Mail by Buildbot's MailNotifier, with what it lacks: certificates that are checked, and waits that end.

Stock takes any certificate where the connection begins with TLS, and waits for ever. Its conversation with the server,
which it shows where something fails, has the password in it.
"""

import hashlib
from email.utils import parseaddr
from io import BytesIO
from pathlib import Path
from typing import Any

from buildbot.reporters.mail import MailNotifier
from buildbot.util.twisted import async_to_deferred
from twisted.internet import defer, ssl
from twisted.mail.smtp import ESMTPSender, ESMTPSenderFactory, SMTPClientError
from twisted.python import log

from benchyard.publish.destinations import Refused, TryLater
from benchyard.publish.http import one_line

#: The usual ports: submission, and the same where the connection begins with TLS.
PORTS = {"starttls": 587, "implicit": 465, "none": 25}


class _Sender(ESMTPSender):
    #: It would keep all that was said, the password as well, for its errors.
    debug = False


class NoticeMail(MailNotifier):
    """Sends mail; Refused where the server does not take a message, TryLater where it cannot be reached or asked now.

    `tls` is one of PORTS; `ca_file` is an authority besides those of the system, `password_file` is read at each use.
    """

    def checkConfig(self, *, tls: str, ca_file: str, password_file: str, timeout_s: float, **stock: Any) -> Any:
        return super().checkConfig(**stock)

    @async_to_deferred
    async def reconfigService(
        self, *, tls: str, ca_file: str, password_file: str, timeout_s: float, **stock: Any
    ) -> None:
        await super().reconfigService(**stock)
        self.tls, self.ca_file, self.password_file, self.timeout_s = tls, ca_file, password_file, timeout_s

    @async_to_deferred
    async def createEmail(self, msgdict: Any, *args: Any, **kwargs: Any) -> Any:
        message = await super().createEmail(msgdict, *args, **kwargs)
        # The same notice sent twice, by a crash in between, is one for those who look at these.
        same = hashlib.sha256(f"{msgdict['subject']}\n".encode() + msgdict["body"]).hexdigest()[:32]
        message["Message-ID"] = f"<{same}@{parseaddr(self.fromaddr)[1].rpartition('@')[2]}>"
        message["Auto-Submitted"] = "auto-generated"
        return message

    @async_to_deferred
    async def sendMail(self, message: Any, recipients: list[str]) -> None:
        result: defer.Deferred[tuple[int, list[tuple[bytes, int, bytes]]]] = defer.Deferred()
        password = self._password()
        factory = ESMTPSenderFactory(
            self.smtpUser.encode() if password is not None else None,
            password,
            parseaddr(self.fromaddr)[1],
            [parseaddr(recipient)[1] for recipient in recipients],
            BytesIO(message.as_string().encode("utf-8")),
            result,
            retries=0,
            timeout=self.timeout_s,
            contextFactory=self._trusted() if self.tls == "starttls" else None,
            requireAuthentication=password is not None,
            requireTransportSecurity=self.tls == "starttls",
            heloFallback=self.tls == "none",
        )
        factory.noisy = False
        factory.protocol = _Sender
        where, reactor = (self.relayhost, self.smtpPort, factory), self.master.reactor
        if self.tls == "implicit":
            reactor.connectSSL(*where, self._trusted(), timeout=self.timeout_s)
        else:
            reactor.connectTCP(*where, timeout=self.timeout_s)
        try:
            _taken, answers = await result
        except SMTPClientError as exc:
            raise _said(exc) from exc
        for address, code, words in answers:
            if code not in (250, 251):
                log.msg(f"{self.name}: {address.decode()} was not taken: {code} {words.decode('ascii', 'replace')}")

    def _password(self) -> bytes | None:
        if not self.smtpUser:
            return None
        try:
            return Path(self.password_file).read_text(encoding="utf-8").strip().encode()
        except (OSError, UnicodeDecodeError) as exc:
            name = Path(self.password_file).name
            raise TryLater(f"the lab has no secret {name}; give it one with `benchyard lab secret {name} DIR`") from exc

    def _trusted(self) -> Any:
        """What is asked of the server's certificate; the authority of `ca_file` alone, where one is named."""
        try:
            authority = Path(self.ca_file).read_bytes() if self.ca_file else None
            root = ssl.trustRootFromCertificates([ssl.Certificate.loadPEM(authority)]) if authority else None
        except Exception as exc:
            raise TryLater(f"{self.ca_file} is no certificate that can be read; correct `ca_file`") from exc
        return ssl.optionsForClientTLS(self.relayhost, trustRoot=root)


def _said(error: SMTPClientError) -> Exception:
    """The server's words. It has refused a message only where it has taken sender and login, and answered for good.

    All else are settings that somebody will correct, or is about now: it is tried again.
    """
    addresses = getattr(error, "addresses", None) or ()
    refused = [(code, words) for _address, code, words in addresses if not 200 <= code < 300]
    answers = refused if addresses and len(refused) == len(addresses) else [(error.code, error.resp)]
    text = one_line("; ".join(f"{code} {_text(words)}" if code > 0 else _text(words) for code, words in answers))
    settled = bool(addresses) and all(500 <= code < 600 for code, _words in answers)
    return Refused(text) if settled else TryLater(text)


def _text(words: bytes | str) -> str:
    return words.decode("utf-8", "replace") if isinstance(words, bytes) else words
