"""A click group that imports a command's module only when the command is used.

The help of the whole group comes from a table, so that `benchyard --help` is printed without importing httpx,
rich, pyperformance or Buildbot.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import click
from click.shell_completion import CompletionItem


@dataclass(frozen=True)
class LazyCommand:
    """Where a command is defined and what the group's help says about it.

    `path` is "module:attribute"; `extra` names the extra of the distribution whose packages it needs, if any.
    """

    path: str
    help: str
    extra: str | None = None

    def load(self) -> click.Command:
        """Import the command; a package that is not installed is an error that names the extra."""
        module_name, _, attribute = self.path.partition(":")
        try:
            command = getattr(import_module(module_name), attribute)
        except ModuleNotFoundError as exc:
            raise self.missing(exc) from exc
        if not isinstance(command, click.Command):
            raise TypeError(f"{self.path} is not a click command")
        return command

    def missing(self, error: ModuleNotFoundError) -> Exception:
        """Return the error that names the extra to install, or the error itself if no extra would help."""
        if self.extra is None or (error.name or "").startswith("benchyard"):
            return error
        return click.ClickException(
            f"this command needs the package {error.name}: pip install 'benchyard[{self.extra}]'"
        )


class LazyGroup(click.Group):
    """A group whose commands are named in a table, in the order in which the help shows them."""

    def __init__(self, *args: Any, lazy: Mapping[str, LazyCommand], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.lazy = dict(lazy)

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.lazy)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        lazy = self.lazy.get(cmd_name)
        return lazy.load() if lazy else None

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except ModuleNotFoundError as exc:
            # Commands import what they need as late as they can, so this may come from deep inside.
            lazy = self.lazy.get(ctx.invoked_subcommand or "")
            if lazy is None:
                raise
            raise lazy.missing(exc) from exc

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, lazy.help) for name, lazy in self.lazy.items()])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        commands = [
            CompletionItem(name, help=lazy.help) for name, lazy in self.lazy.items() if name.startswith(incomplete)
        ]
        return commands + click.Command.shell_complete(self, ctx, incomplete)
