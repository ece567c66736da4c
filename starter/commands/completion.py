"""`towpath completion`: scripts that teach shells to complete."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def command(context: click.Context, shell: str) -> None:
    """Print a script for shell completion.

    With it, a shell completes commands, options and names of resources.

    \b
    Examples:
      source <(towpath completion bash)              # now, in bash; in ~/.bashrc for always
      source <(towpath completion zsh)               # the same in zsh
      towpath completion fish > ~/.config/fish/completions/towpath.fish
    """
    script = get_completion_class(shell)
    if script is None:  # click knows all three
        raise click.UsageError(f"no completion for {shell}")
    root = context.find_root().command
    click.echo(script(root, {}, "towpath", "_TOWPATH_COMPLETE").source())
