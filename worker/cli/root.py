"""The command `comfy-worker` and the table of its commands."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Annotated

import typer

from worker import __version__
from worker.errors import StartupError, StateInUse

# Two words: a command of a group, which the first word's own command leads.
COMMANDS = {
    "serve": "worker.cli.commands.serve",
    "run": "worker.cli.commands.run",
    "validate": "worker.cli.commands.validate",
    "models": "worker.cli.commands.models",
    "convert": "worker.cli.commands.convert",
    "doctor": "worker.cli.commands.doctor",
    "health": "worker.cli.commands.health",
    "onstart": "worker.cli.commands.onstart",
    "templates": "worker.cli.commands.templates.group",
    "templates show": "worker.cli.commands.templates.show",
    "templates new": "worker.cli.commands.templates.new",
    "nodes": "worker.cli.commands.nodes.group",
    "nodes add": "worker.cli.commands.nodes.add",
    "nodes update": "worker.cli.commands.nodes.update",
    "nodes lock": "worker.cli.commands.nodes.lock",
    "nodes check": "worker.cli.commands.nodes.check",
    "verify-image": "worker.cli.commands.verify_image",
    "deploy": "worker.cli.commands.deploy.group",
    "deploy init": "worker.cli.commands.deploy.init",
    "deploy plan": "worker.cli.commands.deploy.plan",
    "deploy apply": "worker.cli.commands.deploy.apply",
    "deploy adopt": "worker.cli.commands.deploy.adopt",
    "deploy status": "worker.cli.commands.deploy.status",
    "deploy logs": "worker.cli.commands.deploy.logs",
    "deploy rollback": "worker.cli.commands.deploy.rollback",
    "deploy destroy": "worker.cli.commands.deploy.destroy",
    "deploy snapshot": "worker.cli.commands.deploy.snapshot",
    "journal": "worker.cli.commands.journal.group",
    "journal downgrade": "worker.cli.commands.journal.downgrade",
    "engine": "worker.cli.commands.engine",
    "demo": "worker.cli.commands.demo",
}

EXTRAS = {"vastai": "vast", "cryptography": "vast", "requests": "vast"}
"""Packages that only some commands need, and the extra that installs each."""


def main() -> None:
    """Only the named command's module is imported, so that `serve` starts quickly."""
    # Typer's pretty exceptions print local variables, keys and tokens among them.
    app = typer.Typer(
        help="Turns any rented GPU into a dependable ComfyUI endpoint.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
    )
    app.callback()(_root)
    try:
        for name in [name for name in COMMANDS if name.split()[0] in sys.argv[1:2]] or list(COMMANDS):
            _add(app, name)
        app(prog_name="comfy-worker")
    except StateInUse as error:
        typer.echo(f"comfy-worker: {error}", err=True)
        sys.exit(StateInUse.exit_code)
    except StartupError as error:
        sys.exit(f"comfy-worker: {error}")
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package not in EXTRAS:
            raise
        cure = f"`pip install 'comfy-worker[{EXTRAS[package]}]'` installs it"
        sys.exit(f"comfy-worker: the package {package} is not installed; {cure}")


def _add(app: typer.Typer, name: str) -> None:
    """Raises StartupError where a command's options depend on what can't be read."""
    first, _, second = name.partition(" ")
    module = import_module(COMMANDS[name])
    found = module.command_for(sys.argv[2:]) if hasattr(module, "command_for") else module.command
    if second:
        groups = {one.name: one.typer_instance for one in app.registered_groups}
        if group := groups[first]:
            group.command(second)(found)
    elif any(other.startswith(f"{first} ") for other in COMMANDS):
        group = typer.Typer(invoke_without_command=True)
        group.callback()(found)
        app.add_typer(group, name=first)
    else:
        app.command(first)(found)


def _say_version(asked: bool) -> None:
    if asked:
        typer.echo(f"comfy-worker {__version__}")
        raise typer.Exit


def _root(
    version: Annotated[bool, typer.Option("--version", is_eager=True, callback=_say_version, help="say which")] = False,
) -> None:
    """Nothing but the option: what there is to do, the commands do."""
