"""The lab's front door: what of Buildbot it stands before, each part that it leans on."""

from concurrent.futures import ThreadPoolExecutor
from http.cookies import SimpleCookie
from typing import TYPE_CHECKING

import httpx
import pytest

if TYPE_CHECKING:
    from tests.access.conftest import Lab

#: What a browser says of a page of another site, and of one of ours.
ELSEWHERE, OURS = {"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-origin"}

#: What opens a websocket.
UPGRADE = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
    "Sec-WebSocket-Version": "13",
}


@pytest.mark.parametrize("path", ["sse", "sse/listen/builders/*/*/*", "change_hook", "change_hook/base"])
@pytest.mark.parametrize("who", [None, "admin"])
def test_what_is_closed(lab: "Lab", path: str, who: str | None) -> None:
    """What asks nobody who they are is there for nobody."""
    assert lab.request("GET", path, who).status_code == 404
    assert lab.request("POST", path, who).status_code == 404


def test_cookies_are_the_servers(lab: "Lab") -> None:
    """No script of a page reads a session's cookie, and no other site's page sends it along."""
    with lab.browser("ada") as browser:
        response = browser.get("auth/login", auth=("ada", lab.passwords["ada"]))
    (cookie,) = SimpleCookie(response.headers["Set-Cookie"]).values()
    assert cookie["httponly"]
    assert cookie["samesite"].lower() == "lax"
    assert not cookie["secure"]  # the lab's address is http


def test_answers_are_for_our_pages(lab: "Lab") -> None:
    """No other page may show the lab's in a frame, and no browser guesses what an answer is."""
    for path in ("", "api/v2/masters", "auth/login"):
        headers = lab.request("GET", path).headers
        assert (headers["X-Frame-Options"], headers["X-Content-Type-Options"]) == ("SAMEORIGIN", "nosniff"), path


def test_a_bad_token_is_never_nobody(lab: "Lab") -> None:
    """Who shows a token that is not good is not let in as a stranger would be; a proxy's Basic says nothing."""
    for scheme in ("Bearer nonsense", "Bearer", f"Token {lab.tokens['ada']}"):
        response = lab.request("GET", "api/v2/masters", headers={"Authorization": scheme})
        assert (response.status_code, "token is not valid" in response.json()["error"]) == (401, True), scheme
        assert response.headers["WWW-Authenticate"] == 'Bearer realm="benchyard"'
    assert lab.request("GET", "api/v2/masters", auth=("proxy", "its own")).status_code == 200


def test_a_token_begins_no_session(lab: "Lab") -> None:
    """Who comes by a token is known for this request alone."""
    token = {"Authorization": f"Bearer {lab.tokens['admin']}"}
    with httpx.Client(base_url=lab.url, timeout=30) as client:
        by_token = client.get("config", headers=token)
        assert by_token.json()["user"]["full_name"] == "admin"
        assert "Set-Cookie" not in by_token.headers
        assert client.get("config").json()["user"]["anonymous"]


def test_what_every_browser_is_told(lab: "Lab", closed_lab: "Lab") -> None:
    """The pages learn what they need of the configuration; strangers of a closed lab do not learn its versions."""
    config = lab.request("GET", "config").json()
    assert {"buildbotURL", "title", "plugins", "auth", "versions"} <= set(config)
    assert not {"port", "http_log", "change_hook_dialects", "cookie_expiration_time"} & set(config)
    assert dict(config["versions"])["Buildbot"]
    page = closed_lab.request("GET", "").text
    assert dict(config["versions"])["Twisted"] not in page


@pytest.mark.parametrize("path", ["api/v2/masters", "config", "avatar", "ws"])
def test_a_closed_lab(closed_lab: "Lab", path: str) -> None:
    """Where strangers may not look there is nothing for them; a viewer comes in."""
    assert closed_lab.request("GET", path).status_code == 401
    assert closed_lab.request("GET", path, "vic").status_code != 401


def test_other_sites_change_nothing(lab: "Lab") -> None:
    """A page of another site cannot act, or listen, by the session of whoever looks at it."""
    call = {"id": 1, "jsonrpc": "2.0", "method": "pause", "params": {"reason": "x"}}
    with lab.browser("admin") as browser:
        for headers in (ELSEWHERE, {"Origin": "http://elsewhere.example"}, {"Referer": "http://elsewhere.example/"}):
            assert browser.post("api/v2/workers/987654", json=call, headers=headers).status_code == 403
            assert browser.get("ws", headers={**UPGRADE, **headers}).status_code == 403
        assert browser.post("api/v2/workers/987654", json=call, headers=OURS).status_code not in (401, 403)
        assert browser.get("api/v2/workers", headers=ELSEWHERE).status_code == 200


def test_answers_arrive_whole(lab: "Lab") -> None:
    """However many ask at once, each gets all that was announced: nothing is lost on its way to the connection."""
    path, plain = f"{lab.url}api/v2/application.spec", {"Accept-Encoding": "identity"}
    wanted = httpx.get(path, headers=plain, timeout=30).content
    assert len(wanted) > 100_000

    def ask(_: int) -> bytes:
        return httpx.get(path, headers=plain, timeout=30).content

    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(ask, range(200))) == {wanted}
    head = lab.request("HEAD", "api/v2/application.spec", "admin", headers=plain)
    assert (int(head.headers["Content-Length"]), head.content) == (len(wanted), b"")
    assert httpx.get(path, headers={"Accept-Encoding": "gzip"}, timeout=30).content == wanted
