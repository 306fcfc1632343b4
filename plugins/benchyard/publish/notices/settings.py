"""What the settings say of the ways to tell people: one `[notify.NAME]` table for each."""

from typing import Annotated, Any, Literal

import msgspec

Text = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
Event = Literal["job_done", "regression", "host_quarantined", "lane_stale", "upload_refused"]

Address = Annotated[str, msgspec.Meta(max_length=254)]


class NotifierSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Which notices are told; an empty list lets all pass.

    `events` are kinds of notices, `targets` those that they are about, `users` those that they are for.
    """

    events: tuple[Event, ...] = ()
    targets: tuple[Text, ...] = ()
    users: tuple[Text, ...] = ()


class Mail(NotifierSettings, frozen=True, kw_only=True, tag="mail", tag_field="kind"):
    """Mail from `sender` by the server `host`: to those whom a notice is for (`owners`), and to the addresses of `to`.

    `tls` is `starttls`, `implicit` (the connection begins with it) or `none`; `port` is the usual one where it is not
    given. With a `user`, its password is the lab's secret `notify-NAME`; it is not sent without TLS to another machine.
    `ca_file` has the certificate of an authority that the system does not know.
    """

    sender: Address
    host: Text = "localhost"
    port: Annotated[int, msgspec.Meta(ge=1, le=65535)] | None = None
    tls: Literal["starttls", "implicit", "none"] = "starttls"
    user: str = ""
    to: tuple[Address, ...] = ()
    owners: bool = True
    ca_file: str = ""
    timeout_s: Annotated[float, msgspec.Meta(gt=0, le=600)] = 60.0


class Reporter(NotifierSettings, frozen=True, kw_only=True, tag="reporter", tag_field="kind"):
    """Any other of Buildbot's reporters that can tell a text, by its class: `HttpStatusPush`, `PushoverNotifier`, ...

    `options` are its arguments; those in `secrets` are read from the lab's secrets, by the names of their files.
    """

    reporter: Text
    options: dict[str, Any] = {}
    secrets: dict[str, Text] = {}
    timeout_s: Annotated[float, msgspec.Meta(gt=0, le=600)] = 60.0


AnyNotifier = Mail | Reporter
