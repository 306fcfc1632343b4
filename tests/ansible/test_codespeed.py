"""A codespeed made by its role in a Debian tree: results come in over TLS, with a password, and are shown."""

import ssl
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import debiantree
import httpx
import msgspec
import pytest
from debiantree import Tree
from playbooks import Site, environ, tool

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from tests.ansible.conftest import Manager, Unit

pytestmark = [pytest.mark.timeout(900), pytest.mark.slow]

PASSWORD = "of a codespeed's user"
RESULT = {
    "commitid": "a" * 40,
    "branch": "main",
    "project": "CPython",
    "executable": "default",
    "benchmark": "nbody",
    "environment": "quiet-1",
    "result_value": 0.1,
}


@pytest.fixture(scope="module")
def site(new_tree: Callable[[str], Tree], tmp_path_factory: pytest.TempPathFactory, free_ports: list[int]) -> Site:
    """A tree and its inventory."""
    site = Site(tmp_path_factory.mktemp("site"), {"speed": new_tree("speed")}, {})
    wheels = debiantree.packed(debiantree.codespeed_wheelhouse(), site.folder / "wheels.tar")
    site.host(
        "codespeed", "speed",
        benchyard_codespeed_name="localhost",
        benchyard_codespeed_https_port=free_ports[0],
        benchyard_codespeed_port=free_ports[1],
        benchyard_codespeed_users={"lab": "{{ vault_codespeed_password }}"},
        benchyard_codespeed_environments=["quiet-1"],
        benchyard_codespeed_projects={"CPython": "main"},
        benchyard_codespeed_wheelhouse=str(wheels),
    )  # fmt: skip
    return site


@pytest.fixture(scope="module")
def codespeed(
    site: Site,
    unit: "Callable[..., Unit]",
    manager: "Callable[[Tree], AbstractContextManager[Manager]]",
    wait: Callable[..., None],
) -> Iterator[httpx.Client]:
    """A client of the codespeed, which trusts the certificate that the role has made."""
    tree = site.trees["speed"]
    vault = in_vault(site.folder, vault_codespeed_password=PASSWORD)
    with manager(tree) as systemd:
        first = site.play("site.yml", *vault, benchyard_running=True)
        assert first.ok and first.changed["speed"] > 0, first.text
        assert PASSWORD not in first.text
        told = systemd.told()
        assert {"restart codespeed.service", "reload-or-restart nginx.service"} <= set(told), told
        for options in (("--check",), ()):
            again = site.play("site.yml", *vault, *options, benchyard_running=True)
            assert (again.ok, again.changed) == (True, {"speed": 0}), again.text
        assert systemd.told() == []
    service = unit(tree, "codespeed")
    service.start()
    web = subprocess.Popen(tree.inside("/usr/sbin/nginx", "-g", "daemon off;"), stdin=subprocess.DEVNULL)
    port = site.groups["codespeed"]["speed"]["benchyard_codespeed_https_port"]
    try:
        with httpx.Client(
            base_url=f"https://localhost:{port}", verify=_trusting(tree / "etc/codespeed/web.crt"), timeout=60
        ) as client:
            wait(lambda: _answers(client), "codespeed answers", log=service.log)
            yield client
    finally:
        web.terminate()
        web.wait(60)


def in_vault(folder: Path, **values: str) -> list[str]:
    """The options by which a playbook gets these values out of a vault."""
    password, file = folder / "password", folder / "vault.yml"
    password.write_text("of the vault\n")
    file.write_bytes(msgspec.json.encode(values))
    how = ["--vault-password-file", str(password)]
    subprocess.run(
        [tool("ansible-vault"), "encrypt", *how, str(file)],
        env=environ(folder),
        check=True,
        capture_output=True,
        timeout=60,
    )
    assert not any(value in file.read_text() for value in values.values())
    return ["--extra-vars", f"@{file}", *how]


def _trusting(certificate: Path) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(certificate))


def _answers(client: httpx.Client) -> bool:
    try:
        return client.get("/").status_code == 302
    except httpx.TransportError:
        return False


def post(client: httpx.Client, password: str | None, user: str = "lab", **other: object) -> int:
    """Post a result as a user; gives the answer's status."""
    auth = None if password is None else httpx.BasicAuth(user, password)
    data = {"json": msgspec.json.encode([{**RESULT, **other}]).decode()}
    return client.post("/result/add/json/", data=data, auth=auth or httpx.USE_CLIENT_DEFAULT).status_code


def test_results_are_posted_with_a_password(codespeed: httpx.Client) -> None:
    """With the right password a result is saved and shown; with none or a wrong one it is refused."""
    assert post(codespeed, None) == 401
    assert post(codespeed, "guessed") == 403
    assert post(codespeed, PASSWORD) == 202
    assert post(codespeed, PASSWORD, environment="unknown") == 400
    shown = codespeed.get("/timeline/json/?exe=1&env=1&ben=nbody&revs=10&base=none")
    assert [line["benchmark"] for line in shown.json()["timelines"]] == ["nbody"]


def test_pages_have_their_style(codespeed: httpx.Client) -> None:
    """What pages refer to is served by the web server itself."""
    page = codespeed.get("/", follow_redirects=True).text
    assert "/static/" in page
    path = page.split('href="/static/', 1)[1].split('"', 1)[0]
    assert codespeed.get(f"/static/{path}").status_code == 200


def test_it_is_not_to_be_had_without_tls(codespeed: httpx.Client, site: Site) -> None:
    """The port of gunicorn is the host's own alone, and its secret is its user's alone."""
    tree = site.trees["speed"]
    assert "--bind 127.0.0.1:" in tree.read("etc/systemd/system/codespeed.service")
    assert (tree / "var/lib/codespeed/secret").stat().st_mode & 0o777 == 0o600


def test_who_is_not_named_any_more_may_not_post(codespeed: httpx.Client, site: Site) -> None:
    """Until named again; who is staff there may."""
    make = "from django.contrib.auth.models import User; User.objects.create_superuser('boss', '', 'of the boss')"
    where = {"DJANGO_SETTINGS_MODULE": "site_settings", "PYTHONPATH": "/opt/codespeed/site"}
    argv = ["/opt/codespeed/bin/python", "-c", f"import django; django.setup(); {make}"]
    site.trees["speed"].run(*argv, user="codespeed", environ=where)
    host, vault = site.groups["codespeed"]["speed"], in_vault(site.folder, vault_codespeed_password=PASSWORD)
    named = host["benchyard_codespeed_users"]
    for users, status in (({"other": "of another"}, 403), (named, 202)):
        host["benchyard_codespeed_users"] = users
        played = site.play("site.yml", *vault)
        assert played.ok, played.text
        assert post(codespeed, PASSWORD) == status
    assert post(codespeed, "of the boss", user="boss") == 202
