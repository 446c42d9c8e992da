"""`headgate completion`, and the names that shells complete."""

from typing import TYPE_CHECKING

import click
from click.shell_completion import CompletionItem, get_completion_class

if TYPE_CHECKING:
    from headgate.cli.resources import Resources

__all__ = ["completed", "completion"]

_MOST = 100
_SECONDS = 2.0  # nobody waits longer for a key to be answered


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print what has SHELL complete commands, options and names.

    \b
    bash  eval "$(headgate completion bash)"   in ~/.bashrc
    zsh   eval "$(headgate completion zsh)"    in ~/.zshrc
    fish  headgate completion fish > ~/.config/fish/completions/headgate.fish
    """
    from headgate.cli.commands import cli

    about = get_completion_class(shell)
    if about is None:
        raise click.UsageError(f"Nothing is known of the shell {shell}.")
    click.echo(about(cli, {}, "headgate", "_HEADGATE_COMPLETE").source())


def completed(
    resources: "Resources",
    ctx: click.Context,
    param: click.Parameter,  # noqa: ARG001 - the signature is Click's
    incomplete: str,
) -> list[CompletionItem]:
    """The names of things of a kind that begin so; none where the service does not say in time."""
    from headgate.cli.calling import Call
    from headgate.errors import HeadgateError

    given = {name: ctx.params.get(name) for name in ("data", "profile", "sandbox")}
    call = Call(**given, output="table", quiet=True, verbose=False)
    try:
        with ctx.scope(cleanup=False), call.client(timeout=_SECONDS, retries=0) as client:
            names = [str(item.get(resources.named) or "") for item in resources.all(client, limit=_MOST)]
    except HeadgateError:
        return []
    return [CompletionItem(name) for name in dict.fromkeys(names) if name.startswith(incomplete)]
