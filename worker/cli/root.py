"""The command `comfy-worker` and the table of its commands."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Annotated

import typer

from worker import __version__
from worker.errors import StartupError

# Two words: a command of a group, which the first word's own command leads.
COMMANDS = {
    "serve": "worker.cli.serve",
    "run": "worker.cli.run",
    "validate": "worker.cli.validate",
    "models": "worker.cli.models",
    "convert": "worker.cli.convert",
    "doctor": "worker.cli.doctor",
    "health": "worker.cli.health",
    "onstart": "worker.cli.onstart",
    "templates": "worker.cli.templates",
    "templates show": "worker.cli.template_show",
    "templates new": "worker.cli.template_new",
    "nodes": "worker.cli.nodes",
    "nodes add": "worker.cli.nodes_add",
    "nodes update": "worker.cli.nodes_update",
    "nodes lock": "worker.cli.nodes_lock",
    "nodes check": "worker.cli.nodes_check",
    "verify-image": "worker.cli.verify_image",
    "deploy": "worker.cli.deploy",
    "deploy plan": "worker.cli.deploy_plan",
    "deploy apply": "worker.cli.deploy_apply",
    "deploy status": "worker.cli.deploy_status",
    "deploy logs": "worker.cli.deploy_logs",
    "deploy rollback": "worker.cli.deploy_rollback",
    "deploy destroy": "worker.cli.deploy_destroy",
    "deploy snapshot": "worker.cli.deploy_snapshot",
    "engine": "worker.cli.engine",
    "demo": "worker.cli.demo",
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
