"""The roles applied to real Debian trees, and a lab that consists of nothing but what they have made there.

The lab's own host is one tree, two hosts that measure are others; each program is started as its unit says.
"""

import json
import os
import platform
import re
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import debiantree
import psutil
import pytest
from debiantree import Tree
from network import Network, NotPermitted, behind, cabled
from playbooks import Site

from benchyard.tasks.host.readings import unfinished_playbooks
from benchyard.tasks.hostlock import try_lock

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from tests.ansible.conftest import Manager, Unit

pytestmark = [pytest.mark.timeout(1800), pytest.mark.slow]

JOB_S = 400.0

#: A name as odd as a host's may be.
ODD = "B9_ench--odd-but-legal-of-40-characters_"
LAB = "lab.example"
#: Where ssh of the host's tree listens: to the lab, another machine.
QUIET = "127.0.0.2"
#: The lab's key for hosts, in the lab's tree.
KEY = "/opt/lab-key"
TARGET = f"linux-{platform.machine()}"
MEASURING = str(max(os.sched_getaffinity(0)))


class Trees(NamedTuple):
    """The lab's tree, those of a host and of one with other names, and their inventory."""

    site: Site
    lab: Tree
    quiet: Tree
    other: Tree
    environ: dict[str, str]


@pytest.fixture(scope="module")
def network() -> Iterator[Network | None]:
    """A namespace with one cable to this machine; None where there can be none."""
    cable = cabled()
    try:
        made = cable.__enter__()
    except NotPermitted:
        yield None
        return
    try:
        yield made
    finally:
        cable.__exit__(None, None, None)


@pytest.fixture(scope="module")
def trees(
    new_tree: Callable[[str], Tree],
    wheel: Path,
    tmp_path_factory: pytest.TempPathFactory,
    free_ports: list[int],
    network: Network | None,
) -> Iterator[Trees]:
    """Trees that nothing was applied to yet; nothing in them is fetched from anywhere."""
    http, workers, ssh = free_ports
    address = network.address if network is not None else "127.0.0.1"
    found = {name: new_tree(name) for name in ("lab", "quiet-1", "bench_02")}
    wheels = debiantree.wheelhouse(*debiantree.HOSTS)
    site = Site(
        tmp_path_factory.mktemp("site"),
        found,
        {
            "benchyard_wheel": str(wheel),
            "benchyard_wheelhouse": str(debiantree.packed(wheels, tmp_path_factory.mktemp("wheels") / "wheels.tar")),
            "benchyard_build": False,
            "benchyard_listen": address,
            "benchyard_http_port": http,
            "benchyard_worker_port": workers,
            "benchyard_master_host": address,
            "benchyard_certificate_name": LAB,
            "benchyard_timers": ["apt-daily", "fstrim"],
            "benchyard_unwanted_services": ["irqbalance"],
        },
    )
    site.host("masters", "lab", benchyard_host_name=LAB, benchyard_web_server="none", benchyard_title="Of trees")
    found["lab"].run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "the lab", "-f", KEY)
    site.host(
        "isolated", "quiet-1", benchyard_cpus=MEASURING, benchyard_target=TARGET,
        ansible_port=ssh, benchyard_controller_key=found["lab"].read(f"{KEY}.pub"),
    )  # fmt: skip
    site.host(
        "isolated", "bench_02", benchyard_name=ODD, benchyard_user="meter", benchyard_home="/srv/meter",
        benchyard_venv="/srv/benchyard", benchyard_isolation="kernel", benchyard_cpus=MEASURING,
        benchyard_worker_dir="/srv/meter/w", benchyard_tune=False, benchyard_target=TARGET,
    )  # fmt: skip
    # Where environments of benchmarks come from: the hosts' trees reach no package index.
    environ = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": "/srv/wheels"}
    for tree in found.values():
        subprocess.run(["cp", "-r", str(wheels), str(tree / "srv/wheels")], check=True)
    yield Trees(site, found["lab"], found["quiet-1"], found["bench_02"], environ)
    assert not [process for process in psutil.process_iter(["exe"]) if str(site.folder.parent) in str(process.info)]


def applied_twice(site: Site, playbook: str, host: str, tree: Tree) -> None:
    """Apply a playbook to a host: looking changes nothing, the first time changes all, the second time nothing."""
    before = tree.listing()
    looked = site.play(playbook, "--limit", host, "--check", "--diff")
    assert looked.ok and looked.changed[host] > 0, looked.text
    assert differences(before, tree.listing()) == []
    first = site.play(playbook, "--limit", host)
    assert first.ok and first.changed[host] > 0, first.text
    again_unchanged(site, playbook, host, tree)


def again_unchanged(site: Site, playbook: str, host: str, tree: Tree, **variables: Any) -> None:
    """Applied again, it changes nothing, neither by its own word nor in the tree."""
    before = tree.listing()
    again = site.play(playbook, "--limit", host, **variables)
    assert (again.ok, again.changed[host]) == (True, 0), again.text
    assert "ignored=0" in again.text, again.text
    assert differences(before, tree.listing()) == []


def differences(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    """The files that have come, gone or changed; Python's own copies of its modules are none."""
    names = {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}
    return sorted(name for name in names if "__pycache__" not in name)


def is_free(state: Path, lock: str = "host.lock") -> bool:
    """Whether nobody holds the host whose worker has this folder."""
    fd = try_lock(state / lock)
    if fd is not None:
        os.close(fd)
    return fd is not None


class RunningLab:
    """The lab of the lab's tree, and its command line there."""

    def __init__(self, tree: Tree, unit: "Unit", url: str) -> None:
        self.tree, self.unit, self.url = tree, unit, url
        self.environ = {"HOME": "/var/lib/benchyard", "BENCHYARD_CONFIG": "/var/lib/benchyard/client.toml"}

    def command(self, *arguments: str) -> list[str]:
        """The command line of `benchyard ARGUMENTS` in the tree."""
        return ["/opt/benchyard/bin/benchyard", "--url", self.url, *arguments]

    def cli(self, *arguments: str) -> str:
        """Run `benchyard ARGUMENTS` as the lab's admin, who is the lab's user in its tree."""
        return self.tree.run(*self.command(*arguments), user="benchyard", environ=self.environ)

    def hosts(self) -> dict[str, str]:
        """The hosts and their states; none where the lab does not answer."""
        try:
            items = json.loads(self.cli("host", "list", "--json"))["items"]
        except AssertionError:
            return {}
        return {host["name"]: host["status"] for host in items}


@pytest.fixture(scope="module")
def lab(trees: Trees, unit: "Callable[..., Unit]", wait: Callable[..., None]) -> RunningLab:
    """The lab, made by the role `master` and started as its unit says, with both hosts registered."""
    first = trees.site.play("site.yml", "--limit", "lab")
    assert first.ok and first.changed["lab"] > 0, first.text
    again_unchanged(trees.site, "site.yml", "lab", trees.lab)
    started = unit(trees.lab, "benchyard-lab", **trees.environ)
    started.start()
    where = trees.site.everywhere
    lab = RunningLab(trees.lab, started, f"http://{where['benchyard_listen']}:{where['benchyard_http_port']}")
    wait(lambda: "online" in lab.hosts().values(), "the lab runs, with its own worker", 120, log=started.log)
    for name, address in (("quiet-1", QUIET), (ODD, "odd.example")):
        # Others are at work on this machine: no run waits for it to be quiet.
        there = ("--address", address, "--cpus", MEASURING, "--guard", "off", "--ansible-user", "benchyard-admin")
        lab.cli("host", "add", name, "--role", "isolated", "--target", TARGET, *there)
    return lab


@pytest.fixture(scope="module")
def quiet(lab: RunningLab, trees: Trees, unit: "Callable[..., Unit]", wait: Callable[..., None]) -> "Unit":
    """A host's worker, made by the role `isolated`; its secret and what it trusts are the lab's own."""
    applied_twice(trees.site, "configure.yml", "quiet-1", trees.quiet)
    worker = unit(trees.quiet, "benchyard-worker", **trees.environ)
    worker.start()
    wait(lambda: lab.hosts().get("quiet-1") == "online", "the host is connected", log=worker.log)
    return worker


def measured(lab: RunningLab, host: str, *options: str) -> dict[str, Any]:
    """The result of a job that measures the tree's own Python on a host."""
    what = ("--python", "/usr/bin/python3", "--benchmarks", "nbody", "--fast", "--host", host)
    job = json.loads(lab.cli("submit", *what, *options, "--json"))
    lab.cli("job", "wait", str(job["id"]))
    ended = json.loads(lab.cli("job", "get", str(job["id"]), "--json"))
    assert ended["status"] == "success", ended
    shown: dict[str, Any] = json.loads(lab.cli("result", "get", str(ended["results"][0]), "--json"))
    return shown


def test_a_job_runs_on_a_host_that_ansible_made(lab: RunningLab, quiet: "Unit", trees: Trees) -> None:
    """The worker of the tree, an unprivileged user with TLS to the master, measures a job to success."""
    shown = measured(lab, "quiet-1")
    assert shown["host"] == "quiet-1"
    log = trees.quiet.read("var/lib/benchyard/worker/twistd.log")
    assert "Connected to buildmaster" in log
    assert 'tls_name = "lab.example"' in trees.quiet.read("var/lib/benchyard/worker/worker.toml")
    secret = trees.quiet.read("etc/benchyard/worker-secret").strip()
    assert secret == trees.lab.read("var/lib/benchyard/lab/secrets/worker-quiet-1").strip()
    (setup,) = (trees.quiet / "var/lib/benchyard/worker/state/runs").glob("*/setup.json")
    assert setup.stat().st_uid == int(trees.quiet.user("benchyard").split(":")[0]) != 0
    # It may make no groups, and says so; which CPU it gets depends on whose shield is up on this machine.
    assert json.loads(setup.read_bytes())["shield"]["kind"] in ("affinity", "kernel", "slice")


def test_a_run_of_ansible_that_fails_half_way_is_healed_by_the_next(
    lab: RunningLab,
    trees: Trees,
    unit: "Callable[..., Unit]",
    manager: "Callable[[Tree], AbstractContextManager[Manager]]",
    wait: Callable[..., None],
    tmp_path: Path,
) -> None:
    """With other names, too: what could not be installed is, the next time, and then the host measures.

    Likewise what a change should have brought about: the boot loader's menu, and a note that the host is to start anew.
    """
    half = debiantree.packed(debiantree.wheelhouse(*debiantree.HOSTS), tmp_path / "half.tar", "msgspec")
    failed = trees.site.play("configure.yml", "--limit", "bench_02", benchyard_wheelhouse=str(half))
    assert failed.failed == {"bench_02": 1} and "msgspec" in failed.text, failed.text
    assert (trees.other / "srv/benchyard/bin/python").exists()
    assert not (trees.other / "etc/systemd/system/benchyard-worker.service").exists()
    ((playbook, _who),) = unfinished_playbooks(trees.other / ".")
    assert playbook == "configure"
    with manager(trees.other) as systemd:
        systemd.active("irqbalance.service").touch()
        running = {"benchyard_running": True}
        failed = trees.site.play("configure.yml", "--limit", "bench_02", **running)
        assert failed.failed == {"bench_02": 1} and "update-grub" in failed.text, failed.text
        told = systemd.told()
        assert "reload-or-restart benchyard-firewall.service" in told and "stop irqbalance.service" not in told, told
        (trees.other / "run/grub-can-be-written").touch()
        healed = trees.site.play("configure.yml", "--limit", "bench_02", **running)
        assert healed.ok, healed.text
        assert unfinished_playbooks(trees.other / ".") == []
        assert f"isolcpus=managed_irq,domain,{MEASURING} " in trees.other.read("boot/grub/grub.cfg")
        assert "kernel's command line" in trees.other.read("run/reboot-required")
        told = systemd.told()
        assert "reload-or-restart benchyard-firewall.service" not in told, told
        assert {"stop irqbalance.service", "start benchyard-worker.service"} < set(told), told
        assert is_free(trees.other / "srv/meter/w/state")
        again_unchanged(trees.site, "configure.yml", "bench_02", trees.other, **running)
        assert set(systemd.told()) == {"daemon-reload"}
    worker = unit(trees.other, "benchyard-worker", **trees.environ)
    assert (worker.said["User"], "/srv/benchyard/bin" in worker.said["ExecStart"]) == ("meter", True)
    worker.start()
    wait(lambda: lab.hosts().get(ODD) == "online", "the host is connected", log=worker.log)
    assert measured(lab, ODD)["host"] == ODD
    worker.stop()


def test_what_is_written_is_read_by_what_it_is_for(lab: RunningLab, quiet: "Unit", trees: Trees) -> None:
    """systemd, the firewall and logrotate understand it; what measures has no filter of system calls."""
    for tree, least in ((trees.lab, 3), (trees.quiet, 3), (trees.other, 3)):
        folder = tree / "etc/systemd/system"
        units = sorted(path.name for path in folder.glob("benchyard*") if path.is_file())
        assert len(units) >= least
        chores = [name for name in ("apt-daily.timer", "apt-daily.service") if (folder / f"{name}.d").exists()]
        said = subprocess.run(
            tree.inside("systemd-analyze", "verify", "--man=no", *units, *chores),
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert (said.returncode, said.stderr) == (0, "")
        assert tree.run("nft", "--check", "--file", "/etc/nftables.d/benchyard.nft") == ""
        for path in (tree / "etc/logrotate.d").glob("benchyard-*"):
            tree.run("logrotate", "--debug", f"/etc/logrotate.d/{path.name}")
    filters = r"SystemCall|Restrict|Lock|MemoryDeny|PrivateDevices|ProtectKernel|ProtectClock|ProtectHostname"
    for tree in (trees.quiet, trees.other):
        assert not re.search(rf"^({filters})", tree.read("etc/systemd/system/benchyard-worker.service"), re.MULTILINE)


def test_the_lab_configures_a_host_as_its_operator_does(
    lab: RunningLab, trees: Trees, quiet: "Unit", free_ports: list[int], wait: Callable[..., None]
) -> None:
    """By ssh and sudo, once its key is right, with the values of the inventory: nothing but what is new is changed.

    Another isolation takes back what the first one has set, and sets its own.
    """
    slices = [f"etc/systemd/system/{name}.d/benchyard.conf" for name in ("system.slice", "init.scope")]
    housekeeping = re.search(r"AllowedCPUs=(\S+)", trees.quiet.read(slices[0]))
    assert housekeeping is not None and MEASURING not in housekeeping[1].split(",")
    assert not (trees.quiet / "etc/default/grub.d/benchyard.cfg").exists()
    trees.quiet.run("visudo", "--check", "--strict")
    configure, key = ("host", "configure", "quiet-1"), "/var/lib/benchyard/.ssh/id_ed25519"
    lab.tree.run("mkdir", "--mode=700", "/var/lib/benchyard/.ssh", user="benchyard")
    (lab.tree / "var/lib/benchyard/.ssh/config").write_text("Host *\n  StrictHostKeyChecking accept-new\n")
    with sshd(trees.quiet, [], free_ports[2], QUIET, wait):
        refused = lab.tree.try_run(*lab.command(*configure), user="benchyard", environ=lab.environ)
        assert refused.returncode == 1 and "Permission denied" in refused.stdout, refused
        # It was not changed, and so it goes on.
        assert lab.hosts()["quiet-1"] == "online"
        lab.tree.run("install", "--mode=600", "--owner=benchyard", KEY, key)
        before = trees.quiet.listing()
        assert "nothing would change" in lab.cli(*configure, "--check")
        assert "nothing changed" in lab.cli(*configure)
        # Its worker runs, and whoever logs in leaves something at home.
        changed = differences(before, trees.quiet.listing())
        assert [name for name in changed if not name.startswith("var/lib/")] == []
        trees.site.groups["isolated"]["quiet-1"]["benchyard_isolation"] = "kernel"
        given = trees.site.play("values.yml")
        assert given.ok, given.text
        lab.cli(*configure)
    assert lab.hosts()["quiet-1"] == "online"
    assert not [name for name in slices if (trees.quiet / name).exists()]
    script = '. /etc/default/grub.d/benchyard.cfg; echo "$GRUB_CMDLINE_LINUX_DEFAULT"'
    said = trees.quiet.run("sh", "-uc", f"GRUB_CMDLINE_LINUX_DEFAULT=quiet; {script}").split()
    wanted = ("isolcpus=managed_irq,domain,", "nohz_full=", "rcu_nocbs=")
    assert said == ["quiet", *(f"{option}{MEASURING}" for option in wanted)]


def test_an_update_begins_beside_no_run(
    lab: RunningLab,
    trees: Trees,
    quiet: "Unit",
    manager: "Callable[[Tree], AbstractContextManager[Manager]]",
    wait: Callable[..., None],
) -> None:
    """update.yml waits for a run, and says by its name which one where it does not; then it has the host for itself.

    What runs with another version than the installed one is started anew, though this time nothing is installed.
    """
    what = (
        "--python",
        "/usr/bin/python3",
        "--benchmarks",
        "nbody,json_loads",
        "--rigorous",
        "--host",
        "quiet-1",
        "--json",
    )
    job = json.loads(lab.cli("submit", *what))["id"]
    state = trees.quiet / "var/lib/benchyard/worker/state"
    log = state / "runs/runs.log"
    wait(lambda: f" START {job}.1 " in log.read_text(), "the run starts", JOB_S)
    options = ("--limit", "quiet-1")
    how: dict[str, Any] = {"benchyard_update_system": False, "benchyard_running": True}
    refused = trees.site.play("update.yml", *options, benchyard_wait_s=0, **how)
    assert refused.failed == {"quiet-1": 1} and f"run {job}.1 is on it" in refused.text, refused.text
    started = trees.quiet / "run/benchyard-worker/started"
    started.parent.mkdir()
    started.touch()
    os.utime(started, (0, 0))
    with manager(trees.quiet) as systemd, ThreadPoolExecutor(1) as pool:
        waits = pool.submit(trees.site.play, "update.yml", *options, benchyard_wait_s=100, **how)
        # It is the next one: whatever else comes waits for its turn.
        wait(lambda: not is_free(state, "host.turn"), "the playbook waits for the run")
        assert not waits.done() and f" END {job}.1 " not in log.read_text()
        lab.cli("job", "cancel", str(job))
        done = waits.result(timeout=300)
        assert f" END {job}.1 " in log.read_text()
        assert (done.ok, done.changed) == (True, {"quiet-1": 1}), done.text
        assert systemd.told() == ["start benchyard-worker.service"]
    started.unlink()
    started.parent.rmdir()
    assert is_free(state)


def test_a_lost_lab_is_restored(
    lab: RunningLab, quiet: "Unit", trees: Trees, tmp_path: Path, wait: Callable[..., None]
) -> None:
    """backup.yml while it runs, the lab's folder lost, restore.yml: results and hosts are there, and it measures on."""
    first = json.loads(lab.cli("result", "list", "--json"))["items"][-1]["id"]
    shown = json.loads(lab.cli("result", "get", str(first), "--json"))
    saved = trees.site.play("backup.yml", benchyard_backup_fetch=str(tmp_path))
    assert saved.ok, saved.text
    (archive,) = tmp_path.glob("lab-*.tar.gz")
    assert archive.stat().st_mode & 0o777 == 0o600
    lab.unit.stop()
    wait(lambda: not lab.hosts(), "the lab is down")
    (trees.lab / "var/lib/benchyard/lab/master/state.sqlite").write_bytes(b"no database")
    restored = trees.site.play("restore.yml", benchyard_restore=str(archive))
    assert restored.ok, restored.text
    assert list((trees.lab / "var/lib/benchyard").glob("lab.before-*/master/state.sqlite"))
    lab.unit.start()
    wait(lambda: lab.hosts().get("quiet-1") == "online", "the host has found the lab again", 120, log=lab.unit.log)
    again = json.loads(lab.cli("result", "get", str(shown["id"]), "--json"))
    assert again == shown
    read = json.loads(lab.cli("result", "read", str(shown["id"])))
    assert read["benchmarks"]
    measured(lab, "quiet-1")


def test_a_host_that_reaches_the_master_only_through_another(
    lab: RunningLab,
    trees: Trees,
    quiet: "Unit",
    network: Network | None,
    free_ports: list[int],
    unit: "Callable[..., Unit]",
    manager: "Callable[[Tree], AbstractContextManager[Manager]]",
    wait: Callable[..., None],
) -> None:
    """Cut off from all but another host, which dials in by ssh, a host measures a job to success; so does the other.

    The other one is told to dial anew where something of it is new, and to stop where no gateway is said any more.
    """
    if network is None:
        pytest.xfail("network namespaces are not permitted here")
    site = trees.site
    far_address = f"10.204.{network.address.split('.')[2]}.2"
    site.groups["isolated"]["quiet-1"] |= {"benchyard_gateway": "bench_02", "benchyard_tunnel_address": far_address}
    quiet.stop()
    how: dict[str, Any] = {"benchyard_running": True}
    dials, units = "benchyard-tunnel-quiet-1.service", trees.other / "etc/systemd/system"
    wrong = site.play("configure.yml", "--limit", "quiet-1", **how)
    assert wrong.failed == {"quiet-1": 1} and "must be another host of the inventory, with a regular" in wrong.text
    # Only who measures nothing is changed beside its work.
    site.groups["workers"] = {"bench_02": site.groups["isolated"].pop("bench_02")}
    with (
        behind(network) as namespace,
        manager(trees.quiet) as systemd,
        manager(trees.other) as gate,
    ):
        (trees.quiet / "run/grub-can-be-written").touch()
        far = ["ip", "netns", "exec", namespace]
        worker = unit(trees.quiet, "benchyard-worker", *far, **trees.environ)
        said = (trees.quiet / "var/lib/benchyard/worker/twistd.log").stat().st_size
        worker.start()
        wait(lambda: "Scheduling retry 3" in twistd_log(trees.quiet, said), "the worker does not reach the master")
        worker.stop()
        played = site.play("configure.yml", "--limit", "quiet-1", **how)
        assert played.ok, played.text
        assert f"restart {dials}" in gate.told() and "reload-or-restart ssh.service" in systemd.told()
        # As if the last one had died before it told the gateway.
        (trees.other / "var/lib/benchyard-in-force/tunnel-quiet-1").unlink()
        again = site.play("configure.yml", "--limit", "quiet-1", **how)
        assert (again.ok, again.changed) == (True, {"quiet-1": 1}), again.text
        assert f"restart {dials}" in gate.told() and set(systemd.told()) == {"daemon-reload"}
        worker.start()
        near = unit(trees.other, "benchyard-worker", *network.inside(), **trees.environ)
        near.start()
        with sshd(trees.quiet, far, free_ports[2], far_address, wait):
            tunnel = unit(trees.other, "benchyard-tunnel-quiet-1", *network.inside())
            tunnel.start()

            def logs() -> str:
                return tunnel.log() + trees.quiet.read("var/log/sshd.log") + twistd_log(trees.quiet, said)[-2000:]

            wait(lambda: lab.hosts().get("quiet-1") == "online", "the host is connected", 120, log=logs)
            assert measured(lab, "quiet-1")["host"] == "quiet-1"
            assert measured(lab, ODD)["host"] == ODD
            refuses_all_else(trees.other, tunnel)
            tunnel.stop()
        del site.groups["isolated"]["quiet-1"]["benchyard_gateway"]
        retired = site.folder / "retired.yml"
        role = {"name": "tunnel", "tasks_from": "retire.yml"}
        retired.write_text(json.dumps([{"hosts": "isolated", "tasks": [{"ansible.builtin.include_role": role}]}]))
        for changes in (True, False):
            stopped = site.play(retired, **how)
            assert (stopped.ok, stopped.changed["quiet-1"] > 0) == (True, changes), stopped.text
        assert gate.told() == [f"disable --now {dials}"]
        assert not [path for path in (units, units / "multi-user.target.wants") if (path / dials).is_symlink()]
        assert not (units / dials).exists()
        assert not (trees.quiet / "var/lib/benchyard-tunnel/.ssh/authorized_keys").exists()
        near.stop()
        worker.stop()


def twistd_log(tree: Tree, offset: int) -> str:
    """What a worker has logged after its log was `offset` bytes long."""
    return tree.read("var/lib/benchyard/worker/twistd.log")[offset:]


@contextmanager
def sshd(tree: Tree, before: list[str], port: int, address: str, wait: Callable[..., None]) -> Iterator[None]:
    """The tree's own ssh server, for the body; it listens."""
    (tree / "run/sshd").mkdir(parents=True, exist_ok=True)
    command = tree.inside("/usr/sbin/sshd", "-D", "-e", f"-p{port}", f"-oListenAddress={address}")
    said = tree / "var/log/sshd.log"
    with said.open("wb") as log:
        server = subprocess.Popen([*before, *command], stdout=log, stderr=log, stdin=subprocess.DEVNULL)
    try:
        wait(lambda: "Server listening" in said.read_text(), "ssh's server listens", log=said.read_text)
        yield
    finally:
        server.terminate()
        server.wait(60)


def refuses_all_else(gate: Tree, tunnel: "Unit") -> None:
    """The key of the gateway opens the one port and nothing else: no command, no other port, no way further."""
    words = tunnel.said["ExecStart"].split()
    where = words.index("-R")
    way, destination = words[where : where + 2], words[-1]
    login = [word for word in words if word not in ("-N", *way, destination)]
    tries = (
        [*login, destination, "id"],
        [*login, "-N", "-R", "127.0.0.1:9990:127.0.0.1:1", destination],
        [*login, "-W", f"{destination.partition('@')[2]}:{words[words.index('-p') + 1]}", destination],
    )
    for command in tries:
        login_there = [*tunnel.before, *gate.inside(*command, user=tunnel.said["User"])]
        done = subprocess.run(login_there, capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL)
        assert done.returncode != 0 and "uid=" not in done.stdout, (command, done.stdout, done.stderr)


def test_a_host_that_leaves_is_as_it_was(
    trees: Trees, quiet: "Unit", manager: "Callable[[Tree], AbstractContextManager[Manager]]"
) -> None:
    """Nothing of the lab's is in force there any more; applied again, there is nothing left to do."""
    quiet.stop()
    etc = trees.quiet / "etc"
    assert len(ours(etc)) > 10
    with manager(trees.quiet) as systemd:
        (trees.quiet / "run/grub-can-be-written").touch()
        for unit in ("benchyard-worker.service", "benchyard-tune.service"):
            systemd.active(unit).touch()
        refused = trees.site.play("retire.yml", benchyard_running=True)
        assert set(refused.failed.values()) == {1} and "--limit HOST" in refused.text, refused.text
        for changes in (True, False):
            left = trees.site.play("retire.yml", "--limit", "quiet-1", benchyard_running=True)
            assert (left.ok, left.changed["quiet-1"] > 0) == (True, changes), left.text
        assert not [path.name for path in (trees.quiet / "run/active").glob("benchyard*")]
        told = systemd.told()
        assert {"disable --now benchyard-worker.service", "stop benchyard-firewall.service"} <= set(told), told
    assert ours(etc) == set()
    menu = trees.quiet / "boot/grub/grub.cfg"
    assert not menu.exists() or "isolcpus" not in menu.read_text()
    assert not (trees.quiet / "var/lib/benchyard-admin/.ssh/authorized_keys").exists()
    assert unfinished_playbooks(trees.quiet / ".") == []
    assert is_free(trees.quiet / "var/lib/benchyard/worker/state")


def ours(etc: Path) -> set[str]:
    """What the lab has set below a tree's /etc, and which units it has masked."""
    named = {path.relative_to(etc).as_posix() for path in etc.rglob("*benchyard*")}
    masked = {path.name for path in etc.glob("systemd/system/irqbalance.service") if path.is_symlink()}
    return named | masked
