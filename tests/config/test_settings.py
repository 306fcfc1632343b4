"""Settings: what is right is taken over, and each fault is one line with its file, its key and its remedy."""

from collections.abc import Callable
from pathlib import Path

import pytest

from benchyard.config.notices import make_notices
from benchyard.config.settings import Lab, SettingsError, load_settings

MakeLab = Callable[..., Path]

T = "[targets.linux]\n"
HOST = 'role = "isolated"\ntarget = "linux"\n'


def refusal(folder: Path) -> str:
    """What is said of the settings in `folder`: one line."""
    with pytest.raises(SettingsError) as refused:
        load_settings(folder)
    message = str(refused.value)
    assert "\n" not in message
    return message


def test_least_settings(lab: MakeLab) -> None:
    """One target is enough; everything else has its default, and the URL follows from address and port."""
    settings = load_settings(lab())
    assert settings.lab == Lab(url="http://127.0.0.1:8010/")
    assert (list(settings.targets), settings.hosts, settings.schedules) == (["linux"], {}, {})
    assert settings.results_dir == settings.directory / "results"


def test_hosts_are_read_by_name(lab: MakeLab) -> None:
    """A host is what its file says, under the file's name, and belongs to its target by its role."""
    settings = load_settings(lab(T, bench=HOST + 'cpus = "2-3"\n', prep='role = "worker"\ntarget = "linux"\n'))
    assert settings.hosts["bench"].name == "bench"
    assert settings.hosts["bench"].cpus == "2-3"
    assert list(settings.isolated("linux")) == ["bench"]
    assert list(settings.workers("linux")) == ["prep"]
    assert settings.isolated("macos") == {}


def test_half_written_host_file_is_not_read(lab: MakeLab) -> None:
    """The file that a registration is still writing is no host yet."""
    folder = lab(T)
    (folder / "hosts.d" / ".bench.toml.part").write_text("role = ", encoding="utf-8")
    assert load_settings(folder).hosts == {}


LAB_FAULTS = {
    "[lab]\nhttpport = 1\n" + T: "[lab] unknown key 'httpport', did you mean 'http_port'?; known are title, listen,",
    "[lab]\nzzz = 1\n" + T: "[lab] unknown key 'zzz'; known are title, listen,",
    "[lap]\n" + T: "unknown key 'lap', did you mean 'lab'?; known are lab, targets, schedules, remotes",
    '[targets.linux]\ndescripton = "x"\n': "[targets.linux] unknown key 'descripton', did you mean 'description'?",
    "[lab]\nhttp_port = 70000\n" + T: "[lab] http_port: expected `int` <= 65535; correct the value",
    "[lab]\nworker_port = 0\n" + T: "[lab] worker_port: expected `int` >= 1; correct the value",
    '[lab]\nhttp_port = "8010"\n' + T: "[lab] http_port: expected `int`, got `str`; correct the value",
    "[lab]\ntitle = 5\n" + T: "[lab] title: expected `str`, got `int`; correct the value",
    '[lab]\ntitle = ""\n' + T: "[lab] title: expected `str` of length >= 1; correct the value",
    "[lab]\ntime_limit_h = nan\n" + T: "[lab] time_limit_h: ",
    "[lab]\ntime_limit_h = inf\n" + T: "[lab] time_limit_h: ",
    "[lab]\ntime_limit_h = 0\n" + T: "[lab] time_limit_h: ",
    "[lab]\nmax_attempts = 0\n" + T: "[lab] max_attempts: expected `int` >= 1; correct the value",
    'lab = "x"\n' + T: "[lab] the table: expected `object`, got `str`; correct the value",
    "targets = 5\n": "targets: expected `object`, got `int`; correct the value",
    "[targets]\nlinux = 5\n": "[targets.linux] the table: expected `object`, got `int`; correct the value",
    "[targets.linux]\ndescription = 5\n": "[targets.linux] description: expected `str`, got `int`; correct the value",
    "[lab]\nhttp_port = 9000\nworker_port = 9000\n"
    + T: "[lab] worker_port = 9000: is http_port as well; choose another",
    '[lab]\nurl = "lab.example"\n' + T: "[lab] url = 'lab.example': must be http(s)://.../ with a slash at its end",
    '[lab]\nurl = "http://lab.example"\n' + T: "[lab] url = 'http://lab.example': must be http(s)://.../ with a slash",
    "": "no targets; add a table such as [targets.linux-x86_64]",
    "[targets]\n": "no targets; add a table such as [targets.linux-x86_64]",
    '[targets."linux/x"]\n': "[targets.linux/x]: 'linux/x' is no name; use 1 to 40 letters, digits, `_` or `-`",
    '[targets.""]\n': "[targets.]: '' is no name; use 1 to 40 letters",
    "[lab]\n[lab]\n" + T: "not valid TOML: Cannot declare ('lab',) twice",
    "[targets.linux-arm]\n[targets.linux_arm]\n": (
        "[targets.linux-arm]: is for Ansible the group 'linux_arm', as the target 'linux_arm' is; rename one"
    ),
    T + '[targets.""]\n': "[targets.]: '' is no name; use 1 to 40 letters",
    T + T: "not valid TOML: Cannot declare ('targets', 'linux') twice",
    "[lab\n": "not valid TOML: ",
}


@pytest.mark.parametrize("text", LAB_FAULTS)
def test_fault_of_the_lab(lab: MakeLab, text: str) -> None:
    """A fault in benchyard.toml names that file, then the key and what to do."""
    folder = lab(text)
    assert refusal(folder).startswith(f"{folder}/benchyard.toml: {LAB_FAULTS[text]}")


SUITE_FAULTS = {
    '[suites.s]\nversion = "1"\nrepository = "https://x.example/y"\nref = "main"\n': "[suites.s]: give it a version,",
    '[suites.s]\nrepository = "https://x.example/y"\n': "[suites.s]: a repository and a ref of it go together",
    '[suites.s]\nrepository = "ext::x"\nref = "main"\n': "[suites.s] repository: 'ext::x' is no address",
    '[suites.s]\nrepository = "https://x.example/y"\nref = "-x"\n': "[suites.s] ref: '-x' is no name of a branch",
    '[suites.s]\nmanifests = ["MANIFEST"]\n': "[suites.s] manifests: 'MANIFEST' is not the full path",
    '[suites."a b"]\n': "[suites.a b]: 'a b' is no name",
    "[suites.s]\nversoin = 1\n": "[suites.s] unknown key 'versoin', did you mean 'version'?",
}


@pytest.mark.parametrize("text", SUITE_FAULTS)
def test_fault_of_a_suite(lab: MakeLab, text: str) -> None:
    """A fault in a suite names the suite, and what to do."""
    folder = lab(T + text)
    assert refusal(folder).startswith(f"{folder}/benchyard.toml: {SUITE_FAULTS[text]}")


def test_suite_that_there_is_not(lab: MakeLab) -> None:
    """A target, schedule or poller may name suites of the settings only."""
    assert "[targets.linux] suite: no suite 'news'" in refusal(lab(T + 'suite = "news"\n[suites.new]\n'))
    folder = lab(T + "[schedules.n]\n" + GOOD_SCHEDULE + 'suite = "news"\n[suites.new]\n')
    assert "[schedules.n] suite: no suite 'news', did you mean 'new'?" in refusal(folder)


GOOD_SCHEDULE = 'cron = "0 3 * * *"\ntargets = ["linux"]\npython = "/usr/bin/python3"\n'
SCHEDULE_FAULTS = {
    GOOD_SCHEDULE + "pyton = 1\n": "[schedules.n] unknown key 'pyton', did you mean 'python'?",
    'cron = "0 3 * * *"\ntargets = ["linux"]\n': "[schedules.n]: give it either a python, installed on",
    GOOD_SCHEDULE + 'mode = "quick"\n': "[schedules.n] mode: invalid enum value 'quick'; correct the value",
    GOOD_SCHEDULE + "benchmarks = [1]\n": "[schedules.n] benchmarks[0]: expected `str`, got `int`; correct the value",
    GOOD_SCHEDULE.replace('"linux"', ""): "[schedules.n] targets: expected `array` of length >= 1; correct the value",
    GOOD_SCHEDULE.replace("linux", "linuks"): "[schedules.n] targets: no target 'linuks', did you mean 'linux'?",
    GOOD_SCHEDULE.replace("linux", "macos"): "[schedules.n] targets: no target 'macos'",
    **{
        GOOD_SCHEDULE.replace("0 3 * * *", cron): f"[schedules.n] cron = {cron!r}: not a cron line of five fields"
        for cron in ("61 3 * * *", "@daily", "0 3 * *", "0 3 * * * *", "nightly", "0 3 * * bla")
    },
    **{
        GOOD_SCHEDULE.replace("0 3 * * *", cron): f"[schedules.n] cron = {cron!r}: no year has such a day; correct day"
        for cron in ("0 0 30 2 *", "0 3 31 4,6 *")
    },
}


@pytest.mark.parametrize("text", SCHEDULE_FAULTS)
def test_fault_of_a_schedule(lab: MakeLab, text: str) -> None:
    """A fault in a schedule names the schedule, also when another one before it is right."""
    folder = lab(f"{T}[schedules.before]\n{GOOD_SCHEDULE}[schedules.n]\n{text}")
    assert refusal(folder).startswith(f"{folder}/benchyard.toml: {SCHEDULE_FAULTS[text]}")


MAIL = '[notify.m]\nkind = "mail"\nsender = "lab@example.org"\n'
NOTIFY_FAULTS = {
    "[notify.m]\n": "[notify.m] the key 'kind' is missing; it is one of mail, reporter",
    '[notify.m]\nkind = "mial"\n': "[notify.m] kind = 'mial': no such kind, did you mean 'mail'?; known are mail,",
    "[notify]\nm = 5\n": "[notify.m] the table: expected `object`, got `int`; correct the value",
    '[notify.m]\nkind = "mail"\n': "[notify.m] the key 'sender' is missing; add it",
    MAIL + "hots = 1\n": "[notify.m] unknown key 'hots', did you mean 'host'?; known are kind, events, targets,",
    MAIL + 'events = ["job"]\n': "[notify.m] events[0]: invalid enum value 'job'; correct the value",
    MAIL + 'tls = "maybe"\n': "[notify.m] tls: invalid enum value 'maybe'; correct the value",
    MAIL + 'targets = ["linuks"]\n': "[notify.m] targets: no target 'linuks', did you mean 'linux'?",
    '[notify."a b"]\nkind = "mail"\nsender = "lab@example.org"\n': "[notify.a b]: 'a b' is no name",
    '[notify.r]\nkind = "reporter"\n': "[notify.r] the key 'reporter' is missing; add it",
}


@pytest.mark.parametrize("text", NOTIFY_FAULTS)
def test_fault_of_a_notifier(lab: MakeLab, text: str) -> None:
    """A fault in a notifier names it, and what to do."""
    folder = lab(T + text)
    assert refusal(folder).startswith(f"{folder}/benchyard.toml: {NOTIFY_FAULTS[text]}")


def test_fault_that_reporters_find(lab: MakeLab) -> None:
    """What only Buildbot's reporters know to be wrong is one line as well, with the file."""
    folder = lab(T + '[notify.r]\nkind = "reporter"\nreporter = "GitHubStatusPush"\n')
    with pytest.raises(SettingsError) as refused:
        make_notices(load_settings(folder))
    assert str(refused.value).startswith(
        f"{folder}/benchyard.toml: [notify.r] reporter: GitHubStatusPush can tell of builds only; there are "
    )


def test_schedules_name(lab: MakeLab) -> None:
    """A schedule's name is checked like all names, as Buildbot's scheduler bears it."""
    folder = lab(f'{T}[schedules."every night"]\n{GOOD_SCHEDULE}')
    assert "'every night' is no name; use 1 to 40 letters" in refusal(folder)


HOST_FAULTS = {
    HOST
    + 'adress = "h"\n': "unknown key 'adress', did you mean 'address'?; known are role, target, address, cpus, name",
    'role = "isolated"\n': "the key 'target' is missing; add it",
    'target = "linux"\n': "the key 'role' is missing; add it",
    HOST.replace("isolated", "fast"): "role: invalid enum value 'fast'; correct the value",
    HOST.replace('"linux"', "5"): "target: expected `str`, got `int`; correct the value",
    HOST.replace("linux", "linus"): "target = 'linus': no such target, did you mean 'linux'?; benchyard.toml has linux",
    HOST + "cpus = 3\n": "cpus: expected `str`, got `int`; correct the value",
    HOST + 'cpus = "3-1"\n': "cpus: ",
    HOST + 'cpus = "a"\n': "cpus: ",
    HOST + 'name = "other"\n': "name = 'other': must be 'bench', as the file is called",
    HOST + HOST: "not valid TOML: ",
    "": "the key 'role' is missing; add it",
}


@pytest.mark.parametrize("text", HOST_FAULTS)
def test_fault_of_a_host(lab: MakeLab, text: str) -> None:
    """A fault in a host's file names that file, then the key and what to do."""
    folder = lab(T, bench=text)
    assert refusal(folder).startswith(f"{folder}/hosts.d/bench.toml: {HOST_FAULTS[text]}")


def test_hosts_that_differ_in_capitals_only(lab: MakeLab) -> None:
    """Two hosts of one name in different spelling would be one on some file systems, so the second is refused."""
    folder = lab(T, Bench=HOST, bench=HOST)
    assert refusal(folder) == (
        f"{folder}/hosts.d/bench.toml: the host 'Bench' has this name already; rename one of the files"
    )


def test_host_file_with_a_name_that_is_none(lab: MakeLab) -> None:
    """A file that cannot name a host is refused by its name."""
    folder = lab(T)
    (folder / "hosts.d" / "bench 2.toml").write_text(HOST, encoding="utf-8")
    assert refusal(folder).startswith(f"{folder}/hosts.d/bench 2.toml: the file's name: 'bench 2' is no name; use")


def test_not_utf8(lab: MakeLab) -> None:
    """A file in another encoding is told apart from a missing one."""
    folder = lab()
    (folder / "benchyard.toml").write_bytes(b'[lab]\ntitle = "\xff"\n')
    assert refusal(folder).startswith(f"{folder}/benchyard.toml: not valid TOML: ")


def test_no_lab_here(tmp_path: Path) -> None:
    """A folder without settings is told with the command that makes a lab."""
    assert refusal(tmp_path) == f"{tmp_path}/benchyard.toml: not found; make a lab with `benchyard lab init {tmp_path}`"


def test_unreadable_host_file(lab: MakeLab) -> None:
    """A file that cannot be read is named with the system's word for why."""
    folder = lab(T)
    (folder / "hosts.d" / "bench.toml").mkdir()
    assert refusal(folder) == f"{folder}/hosts.d/bench.toml: cannot be read: Is a directory"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            '[targets.linux]\n[schedules.n]\nkind = "calibrate"\ncron = "0 3 * * *"\ntargets = ["linux"]\n',
            "[schedules.n]: target 'linux' has no calibration; add one to [targets.linux]",
        ),
        (
            '[targets.linux]\ncalibration = {python = "/p"}\n'
            '[schedules.n]\nkind = "calibrate"\ncron = "0 3 * * *"\ntargets = ["linux"]\npython = "/p"\n',
            "[schedules.n]: kind = 'calibrate' has its own interpreter; leave python and ref out",
        ),
        (
            '[targets.linux]\n[schedules.n]\nkind = "profil"\ncron = "0 3 * * *"\ntargets = ["linux"]\npython = "/p"\n',
            "[schedules.n] kind: no kind of job 'profil'; did you mean 'profile'?",
        ),
        (
            "[targets.linux]\ncalibration = {}\n",
            "[targets.linux] calibration: give it either a python, installed on the hosts, or a ref to build",
        ),
        (
            '[targets.linux]\ncalibration = {ref = "v3.13.0"}\n',
            "[targets.linux] calibration: there is no repository to build from; add a table such as [remotes.upstream]",
        ),
        (
            '[targets.linux]\ncalibration = {python = "/p", flags = ["jit"]}\n',
            "[targets.linux] calibration flags: are for an interpreter that is built: give a ref instead of a python",
        ),
        (
            '[targets.linux]\ncalibration = {python = "/p"}\n[remotes.r]\nurl = "https://x.example/r"\n'
            '[pollers.p]\nkind = "calibrate"\ntargets = ["linux"]\nbranches = ["main"]\n',
            "[pollers.p] kind = 'calibrate': is not for commits; give it a schedule",
        ),
    ],
)
def test_kinds_and_calibration(lab: MakeLab, text: str, message: str) -> None:
    """A kind that there is not, and a calibration that cannot work, are refused at the start."""
    assert message in refusal(lab(text))


def test_whose_branches_are_watched(lab: MakeLab) -> None:
    """A poller's branch is upstream's, the first remote's where it names none, or that of the fork that it is for."""
    remotes = "".join(
        f'[remotes.{name}]\nurl = "https://github.com/{owner}/cpython"\n'
        for name, owner in (("cpython", "python"), ("ada", "ada"))
    )
    what = 'targets = ["linux"]\nbranches = ["main"]\n'
    pollers = f'[pollers.ours]\n{what}[pollers.hers]\n{what}remote = "ada"\n'
    service = make_notices(load_settings(lab(f"[targets.linux]\n{remotes}{pollers}")))[0]
    assert {lane.poller: lane.fork for lane in service._config_kwargs["facts"].branches} == {
        "ours": None,
        "hers": "ada",
    }
