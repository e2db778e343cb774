"""cnncost completion."""

from __future__ import annotations

import click

EXAMPLES = """\b
Examples:
  eval "$(cnncost completion bash)"   # in ~/.bashrc
  eval "$(cnncost completion zsh)"    # in ~/.zshrc
  cnncost completion fish > ~/.config/fish/completions/cnncost.fish
"""


@click.command("completion", epilog=EXAMPLES)
@click.argument("shell", type=click.Choice(("bash", "zsh", "fish")))
def command(shell: str) -> None:
    """A script that completes commands, options and networks in your shell."""
    from click.shell_completion import get_completion_class

    from cnncost.cli import cli

    script = get_completion_class(shell)
    assert script is not None
    click.echo(script(cli, {}, "cnncost", "_CNNCOST_COMPLETE").source())
