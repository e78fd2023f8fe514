"""The commands of `comfy-worker`: the module of each, and the line that lists it."""

from __future__ import annotations

from typing import NamedTuple


class CommandEntry(NamedTuple):
    """A command's module, and the first line of its help.

    The line is repeated here so that `comfy-worker --help` and shell completion import no command.
    """

    module: str
    summary: str


COMMANDS = {
    "serve": CommandEntry("worker.cli.commands.serve", "Start a worker that accepts workflows over HTTP."),
    "run": CommandEntry("worker.cli.commands.run", "Run one workflow and save its outputs."),
    "mcp": CommandEntry("worker.cli.commands.mcp", "Give AI agents tools that list templates and run jobs."),
    "validate": CommandEntry("worker.cli.commands.validate", "List every problem of a workflow."),
    "models": CommandEntry("worker.cli.commands.models", "List or download the models that workflows need."),
    "convert": CommandEntry("worker.cli.commands.convert", "Convert an editor workflow to an API prompt."),
    "doctor": CommandEntry("worker.cli.commands.doctor", "Check this machine and its settings."),
    "health": CommandEntry("worker.cli.commands.health", "Check that the worker on this machine responds."),
    "onstart": CommandEntry("worker.cli.commands.onstart", "Start the worker in the background, for Vast's ssh mode."),
    "templates": CommandEntry("worker.cli.commands.templates.group", "List the templates: workflows to run by name."),
    "templates show": CommandEntry(
        "worker.cli.commands.templates.show", "Show a template's parameters, models and node packs."
    ),
    "templates new": CommandEntry("worker.cli.commands.templates.new", "Write a template for a workflow."),
    "nodes": CommandEntry("worker.cli.commands.nodes.group", "List the pinned node packs."),
    "nodes add": CommandEntry("worker.cli.commands.nodes.add", "Pin another node pack."),
    "nodes update": CommandEntry("worker.cli.commands.nodes.update", "Pin newer commits of node packs."),
    "nodes lock": CommandEntry("worker.cli.commands.nodes.lock", "Lock the Python packages of all node packs."),
    "nodes check": CommandEntry("worker.cli.commands.nodes.check", "Check the pinned commits and the locks."),
    "handlers": CommandEntry("worker.cli.commands.handlers.group", "Prepare an app whose handlers a worker serves."),
    "handlers install": CommandEntry(
        "worker.cli.commands.handlers.install", "Install the packages of an app into its own environment."
    ),
    "verify-image": CommandEntry(
        "worker.cli.commands.verify_image", "Check that an image's node packs and templates work."
    ),
    "deploy": CommandEntry("worker.cli.commands.deploy.group", "Manage a fleet at Vast with vast.toml."),
    "deploy init": CommandEntry("worker.cli.commands.deploy.init", "Write an id into vast.toml."),
    "deploy plan": CommandEntry("worker.cli.commands.deploy.plan", "Show what an apply would change."),
    "deploy apply": CommandEntry("worker.cli.commands.deploy.apply", "Change the fleet at Vast to match vast.toml."),
    "deploy adopt": CommandEntry(
        "worker.cli.commands.deploy.adopt", "Take over a fleet that has no id, or another id."
    ),
    "deploy status": CommandEntry(
        "worker.cli.commands.deploy.status", "Show the endpoint, its workers and their cost."
    ),
    "deploy logs": CommandEntry("worker.cli.commands.deploy.logs", "Print the autoscaler's logs of the fleet."),
    "deploy rollback": CommandEntry(
        "worker.cli.commands.deploy.rollback", "Put all groups back to the previous template."
    ),
    "deploy destroy": CommandEntry("worker.cli.commands.deploy.destroy", "Delete the fleet from Vast."),
    "deploy snapshot": CommandEntry(
        "worker.cli.commands.deploy.snapshot", "Print the fleet's state at Vast, to plan without a key."
    ),
    "fleet": CommandEntry("worker.cli.commands.fleet.group", "Plan a fleet before renting it."),
    "fleet trace": CommandEntry(
        "worker.cli.commands.fleet.trace", "Make or describe a trace: when jobs arrive, and their work."
    ),
    "fleet simulate": CommandEntry(
        "worker.cli.commands.fleet.simulate", "Show how long jobs would wait, and what it would cost."
    ),
    "fleet advise": CommandEntry(
        "worker.cli.commands.fleet.advise", "Find the cheapest parameters that keep a target."
    ),
    "fleet replay": CommandEntry(
        "worker.cli.commands.fleet.replay", "Play a trace on this machine, and compare it with the simulation."
    ),
    "prices": CommandEntry("worker.cli.commands.prices", "Show what Vast, RunPod and Modal charge."),
    "modal": CommandEntry("worker.cli.commands.modal.group", "Write apps that run the image on Modal."),
    "modal init": CommandEntry("worker.cli.commands.modal.init", "Move a Modal app to this image."),
    "proxy": CommandEntry("worker.cli.commands.proxy.group", "Serve plain HTTP in front of several backends."),
    "proxy key": CommandEntry(
        "worker.cli.commands.proxy.new_key", "Make a key for a caller of the proxy, and print its table for proxy.toml."
    ),
    "proxy check": CommandEntry(
        "worker.cli.commands.proxy.check", "Check a configuration file, and show its backends, routes and callers."
    ),
    "proxy schema": CommandEntry(
        "worker.cli.commands.proxy.schema",
        "Print the JSON Schema of proxy.toml, with which editors complete and check the file.",
    ),
    "journal": CommandEntry("worker.cli.commands.journal.group", "Convert the job journal of a state folder."),
    "journal downgrade": CommandEntry(
        "worker.cli.commands.journal.downgrade", "Rewrite the journal for a worker older than v0.2.0."
    ),
    "load": CommandEntry("worker.cli.commands.load.group", "Show what was learned about the seconds of jobs."),
    "load export": CommandEntry("worker.cli.commands.load.export", "Write what machines with one GPU have learned."),
    "load import": CommandEntry("worker.cli.commands.load.import_priors", "Give a worker what others have learned."),
    "engine": CommandEntry("worker.cli.commands.engine", "Start the embedded engine: ComfyUI's API without a GPU."),
    "demo": CommandEntry("worker.cli.commands.demo", "Run workflows through a local copy of Vast's router."),
    "completion": CommandEntry("worker.cli.commands.completion", "Print a completion script for your shell."),
}
"""A name of two words is a command of a group, whose own command has the first word as its name."""
