"""The Typer application of `comfy-worker`, with as few commands imported as its arguments allow."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Annotated

import typer

from worker import __version__
from worker.cli.command_table import COMMANDS

CommandFunction = Callable[..., None]
EXAMPLES = (
    "comfy-worker run flux-schnell --prompt 'a harbour at dawn'",
    "comfy-worker serve --comfyui http://127.0.0.1:8188",
    "comfy-worker doctor",
)


def build_application(arguments: Sequence[str]) -> typer.Typer:
    """Return the application for these arguments.

    Only the command that they name is imported. Without one the application lists all commands, and can run none.
    Raises StartupError where a command's options depend on a file that cannot be read.
    """
    # Typer's pretty exceptions print local variables, keys and tokens among them.
    app = typer.Typer(
        help="Turns any rented GPU into a dependable ComfyUI endpoint.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        epilog=epilog(EXAMPLES),
    )
    app.callback()(_root)
    names = [name for name in COMMANDS if name.split()[0] in arguments[:1]]
    for name in names:
        _add_command(app, name, arguments[1:])
    if not names:
        for name, entry in COMMANDS.items():
            if " " not in name:
                app.command(name, help=entry.summary)(_not_imported)
    return app


def epilog(examples: Sequence[str]) -> str:
    """Return the end of a help text that shows these command lines."""
    title = "[bold]Example[/bold]" if len(examples) == 1 else "[bold]Examples[/bold]"
    return "\n".join((title, *(f"  [dim]$[/dim] {_escaped(example)}" for example in examples)))


def help_text(command: CommandFunction) -> str:
    """Return the docstring of a command with each paragraph in one line, so that the terminal's width wraps it."""
    paragraphs = (inspect.getdoc(command) or "").split("\n\n")
    return "\n\n".join(_escaped(" ".join(paragraph.split())) for paragraph in paragraphs)


def _escaped(text: str) -> str:
    """Return the text so that Typer does not read it as markup. Rich's own function would import rich."""
    return text.replace("[", "\\[")


def command_path(arguments: Sequence[str]) -> str:
    """Return the command that these arguments call, `comfy-worker deploy plan` for example."""
    words = list(arguments[:2])
    while words and " ".join(words) not in COMMANDS:
        words.pop()
    return " ".join(("comfy-worker", *words))


def _add_command(app: typer.Typer, name: str, arguments: Sequence[str]) -> None:
    """Import the command with this name and add it. Raises StartupError if a file for its options cannot be read.

    `name` has two words for a command of a group. `arguments` are those after the first word.
    """
    first, _, second = name.partition(" ")
    has_subcommands = any(other.startswith(f"{first} ") for other in COMMANDS)
    module = import_module(COMMANDS[name].module)
    command = module.command_for(arguments) if hasattr(module, "command_for") else module.command
    # `command_for` makes a command for one template, with examples of its own.
    about, end = help_text(command), epilog(getattr(command, "examples", module.EXAMPLES))
    if second:
        [group] = [info.typer_instance for info in app.registered_groups if info.name == first]
        assert group is not None  # noqa: S101 - the table lists a group before its commands
        group.command(second, help=about, epilog=end)(command)
    elif has_subcommands:
        group = typer.Typer(invoke_without_command=True)
        group.callback(help=about, epilog=end)(command)
        app.add_typer(group, name=first)
    else:
        app.command(first, help=about, epilog=end)(command)


def _not_imported() -> None:
    """Take the place of a command in the list that the help prints. It is never called."""
    raise AssertionError("the arguments do not begin with a command")


def _print_version(requested: bool) -> None:
    """Print the version and exit, if `--version` was given."""
    if requested:
        typer.echo(f"comfy-worker {__version__}")
        raise typer.Exit


def _root(
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_print_version, help="Print the version and exit.")
    ] = False,
) -> None:
    """Accept `--version` before a command. Its callback prints the version."""
