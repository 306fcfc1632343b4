"""`benchyard completion`: the script that makes a shell complete our commands and the names of the lab."""

import click

PROGRAM = "benchyard"
VARIABLE = "_BENCHYARD_COMPLETE"


@click.command("completion")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print the script that makes a shell complete commands, and names by asking the lab.

    For fish it belongs into ~/.config/fish/completions/benchyard.fish, for the others at the end of the shell's
    own file, or evaluated there as in the example.

    Example: eval "$(benchyard completion bash)"
    """
    from click.shell_completion import get_completion_class

    made_by = get_completion_class(shell)
    if made_by is None:
        raise click.UsageError(f"{shell} is not a shell that can be helped")
    root = click.get_current_context().find_root().command
    click.echo(made_by(root, {}, PROGRAM, VARIABLE).source())
