"""`comfy-worker completion`: the completion script of a shell."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

EXAMPLES = (
    "source <(comfy-worker completion bash)",
    "comfy-worker completion fish > ~/.config/fish/completions/comfy-worker.fish",
)


class Shell(StrEnum):
    """The shells that can complete `comfy-worker`."""

    BASH = "bash"
    ZSH = "zsh"
    FISH = "fish"


def command(shell: Annotated[Shell, typer.Argument(help="The shell that reads the script.")]) -> None:
    """Print a completion script for your shell.

    Completes commands, options, choices, template names and files. For every new shell, put
    `source <(comfy-worker completion bash)` into ~/.bashrc, or the same with `zsh` into ~/.zshrc after `compinit`.
    """
    from worker.cli.shell_completion import SCRIPTS

    typer.echo(SCRIPTS[shell], nl=False)
