"""`[publish.NAME]`: each fault is one line with file, table, key and remedy; secrets are never in it."""

from collections.abc import Callable
from pathlib import Path

import pytest

from benchyard.config.settings import SettingsError, load_settings
from benchyard.publish.settings import Codespeed, GitHub, GitRepository, Webhook

MakeLab = Callable[..., Path]

T = "[targets.linux]\n[remotes.upstream]\nurl = 'https://git.example/cpython'\n"
HOOK = T + '[publish.hook]\nkind = "webhook"\nurl = "https://hooks.example/x"\n'
SPEED = T + '[publish.speed]\nkind = "codespeed"\nurl = "https://speed.example/"\n'
GIT = T + '[publish.archive]\nkind = "git"\nurl = "ssh://git@git.example/results"\n'
GITHUB = T + '[publish.pr]\nkind = "github"\nrepository = "python/cpython"\n'


@pytest.fixture
def secret_lab(lab: MakeLab) -> MakeLab:
    """A lab that has all secrets that there may be."""

    def make(text: str) -> Path:
        folder = lab(text)
        (folder / "secrets").mkdir(exist_ok=True)
        for name in ("hook", "speed", "pr"):
            (folder / "secrets" / f"publish-{name}").write_text("geheim\n")
        return folder

    return make


def refusal(folder: Path) -> str:
    with pytest.raises(SettingsError) as refused:
        load_settings(folder)
    message = str(refused.value)
    assert "\n" not in message
    assert "geheim" not in message
    return message


def test_each_kind(secret_lab: MakeLab) -> None:
    """Each kind is read with its defaults, in the order of the file."""
    text = T + "".join(one.removeprefix(T) for one in (SPEED, GIT, HOOK, GITHUB))
    settings = load_settings(secret_lab(text))
    assert [(name, type(one)) for name, one in settings.publish.items()] == [
        ("speed", Codespeed),
        ("archive", GitRepository),
        ("hook", Webhook),
        ("pr", GitHub),
    ]
    hook = settings.publish["hook"]
    assert (hook.grades, hook.automatic, hook.patched, hook.targets) == (("A", "B"), True, False, ())


def test_codespeed_has_the_first_remote(secret_lab: MakeLab) -> None:
    """Branches of the first remote keep their names at a codespeed, unless another is named."""
    for text, remote in ((SPEED, "upstream"), (SPEED + 'remote = "fork"\n', "fork")):
        settings = load_settings(secret_lab(text + '[remotes.fork]\nurl = "https://fork.example/cpython"\n'))
        speed = settings.publish["speed"]
        assert isinstance(speed, Codespeed)
        assert speed.remote == remote


FAULTS = {
    T + "[publish.hook]\n": "[publish.hook] the key 'kind' is missing; it is one of codespeed, git, webhook, github",
    T + '[publish.hook]\nkind = "webhok"\n': "[publish.hook] kind = 'webhok': no such kind, did you mean 'webhook'?;",
    T + "[publish.hook]\nkind = 5\n": "[publish.hook] kind = 5: no such kind; known are codespeed, git,",
    T + "[publish]\nhook = 5\n": "[publish.hook] the table: expected `object`, got `int`; correct the value",
    T + '[publish.hook]\nkind = "webhook"\n': "[publish.hook] the key 'url' is missing; add it",
    HOOK + "ulr = 5\n": "[publish.hook] unknown key 'ulr', did you mean 'url'?; known are kind, ",
    HOOK + "project = 'x'\n": "[publish.hook] unknown key 'project'",
    HOOK + "timeout_s = 0\n": "[publish.hook] timeout_s: expected `float` > 0",
    HOOK + "give_up_h = -1\n": "[publish.hook] give_up_h: expected `float` > 0",
    HOOK + 'grades = ["D"]\n': "[publish.hook] grades[0]: invalid enum value 'D'; correct the value",
    HOOK + 'targets = ["linus"]\n': "[publish.hook] targets: no target 'linus', did you mean 'linux'?",
    HOOK + 'remotes = ["upsteam"]\n': "[publish.hook] remotes: no remote 'upsteam', did you mean 'upstream'?",
    HOOK + 'flags = ["none", "pgo"]\n': "[publish.hook] flags: 'none' stands alone;",
    HOOK + 'flags = ["pog"]\n': "[publish.hook] flags: ",
    HOOK.replace("https://hooks.example/x", "hooks.example"): "[publish.hook] url: is no address such as https://",
    HOOK.replace("https://hooks", "ftp://hooks"): "[publish.hook] url: is no address",
    HOOK.replace("hooks.example/x", "hooks.example:x/"): "[publish.hook] url: is no address",
    HOOK.replace("hooks.example/x", "hooks.example/a b"): "[publish.hook] url: is no address",
    HOOK.replace("hooks.", "ada:geheim@hooks."): "[publish.hook] url: has a user or password in it",
    HOOK + 'ca_file = "ca.pem"\n': "[publish.hook] ca_file = 'ca.pem': must be the full path of a file",
    HOOK + 'ca_file = "/no/such/ca.pem"\n': "[publish.hook] ca_file = '/no/such/ca.pem': must be the full path",
    SPEED
    + 'executable = "{flagz}"\n': "[publish.speed] executable = '{flagz}': what may be filled in is {flags}, {impl",
    SPEED + 'executable = "{"\n': "[publish.speed] executable = '{': ",
    SPEED + 'executable = "{flags!x}"\n': "[publish.speed] executable = '{flags!x}': ",
    SPEED + f'executables = {{cpython = "{"e" * 31}"}}\n': "[publish.speed] executables[...]: expected `str` of length",
    SPEED + 'remote = "upsteam"\n': "[publish.speed] remote: no remote 'upsteam', did you mean 'upstream'?",
    SPEED + 'user = "ada:geheim"\n': "[publish.speed] the table: `user` cannot have a colon",
    SPEED + 'units = {byte = {units = "B", title = "Memory"}}\n': "[publish.speed]",
    SPEED.replace("speed.example/", "speed.example/?a=b"): "[publish.speed]",
    GIT.replace("ssh://git@", "ssh://git:geheim@"): "[publish.archive] url: an address must not have a password in it",
    GIT.replace("ssh:", "ext::"): "[publish.archive] url: ",
    GIT + 'author = "me"\n': "[publish.archive] author = 'me': must be like 'NAME <ADDRESS>'",
    GITHUB.replace("python/cpython", "cpython"): "[publish.pr] repository: expected `str` matching regex",
    GITHUB + 'api = "api.github.com"\n': "[publish.pr] api: is no address such as https://",
    HOOK.replace("publish.hook", 'publish."a b"'): "[publish.a b]: 'a b' is no name; use 1 to 40 letters",
}


@pytest.mark.parametrize("text", FAULTS)
def test_fault(secret_lab: MakeLab, text: str) -> None:
    """A fault names the file, then table and key, and what to do."""
    folder = secret_lab(text)
    assert refusal(folder).startswith(f"{folder}/benchyard.toml: {FAULTS[text]}")


@pytest.mark.parametrize("text", [HOOK, GITHUB, SPEED + 'user = "ada"\n'])
def test_secret_is_missing(lab: MakeLab, text: str) -> None:
    """What needs a secret is refused without one, with the command that gives it; an empty one is none."""
    folder = lab(text)
    said = refusal(folder)
    name = said.partition("[publish.")[2].partition("]")[0]
    assert said.endswith(f"the lab has no secret publish-{name}; `benchyard lab secret publish-{name} {folder}`")
    (folder / "secrets").mkdir(exist_ok=True)
    (folder / "secrets" / f"publish-{name}").write_text("\n")
    assert refusal(folder) == said
    (folder / "secrets" / f"publish-{name}").write_text("geheim\n")
    assert list(load_settings(folder).publish) == [name]


@pytest.mark.parametrize("text", [SPEED, GIT])
def test_secret_is_not_needed(lab: MakeLab, text: str) -> None:
    """A codespeed without a user and a git repository have none."""
    assert len(load_settings(lab(text)).publish) == 1
