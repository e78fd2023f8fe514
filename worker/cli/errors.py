"""Exceptions that end a command, printed for people or as JSON, with the next step."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from pathlib import Path

import typer

from worker.cli.application import command_path
from worker.cli.output.failure import Failure
from worker.cli.output.json_output import print_json
from worker.cli.output.next_steps import next_step
from worker.errors import CannotListen, HandlersPortInUse, ProxyConfigError, StartupError, StateInUse, UnknownPlatform

EXTRAS = {
    "vastai": "vast",
    "cryptography": "vast",
    "requests": "vast",
    "matplotlib": "plots",
    "modal": "modal",
    "modal_proto": "modal",
    "grpclib": "modal",
    "mcp": "mcp",
    "anyio": "mcp",
    "starlette": "mcp",
    "uvicorn": "mcp",
}
"""Packages that only some commands need, and the extra that installs each."""

USAGE_EXIT_CODE = 2
USAGE_ERROR = typer.BadParameter.__mro__[1]
"""Typer's base class of errors in the arguments, which it does not export."""

STARTUP_CODES = {
    StateInUse: "state_in_use",
    CannotListen: "cannot_listen",
    HandlersPortInUse: "handlers_port_in_use",
    UnknownPlatform: "unknown_platform",
    ProxyConfigError: "proxy_config_invalid",
    StartupError: "not_started",
}


def report_error(error: Exception, arguments: Sequence[str]) -> int | None:
    """Print the error and the next step; return the exit code.

    Return None and print nothing for an exception that is a bug: Python prints its traceback.
    """
    if type(error).__name__ == "NoArgsIsHelpError":  # Typer has printed the help
        return USAGE_EXIT_CODE
    if isinstance(error, typer.Abort):
        typer.echo("Cancelled. Nothing was changed.", err=True)
        return 1
    failure = _failure_of(error)
    if failure is None:
        return None
    step = _with_workflow_file(failure.step or next_step(failure, command_path(arguments)), arguments)
    if "--json" in arguments:
        print_json(failure.as_dict(step))
    elif isinstance(error, Failure):
        from worker.cli.output.failure import show
        from worker.cli.output.screen import screen

        show(failure, screen(stderr=True), step)
    else:
        _print_sentence(f"comfy-worker: {failure.message}", step)
    return failure.exit_code


def _print_sentence(message: str, step: str) -> None:
    """Print the message and the next step to standard error."""
    from worker.cli.output.rows import print_step
    from worker.cli.output.screen import screen

    console = screen(stderr=True)
    console.print(message, markup=False, soft_wrap=not console.is_terminal)
    print_step(console, step)


def _with_workflow_file(step: str, arguments: Sequence[str]) -> str:
    """Return the step with the first file of the command line in place of FILE, or unchanged if it names no file."""
    files = [word for word in arguments[1:] if not word.startswith("-") and Path(word).is_file()]
    if not files:
        return step
    return re.sub(r"(?<=validate )FILE|(?<=convert )FILE|(?<=fetch )FILE", lambda _: shlex.quote(files[0]), step)


def _failure_of(error: Exception) -> Failure | None:
    """Return the exception as a failure to print. Return None for an exception that is a bug of the worker."""
    if isinstance(error, Failure):
        return error
    if isinstance(error, USAGE_ERROR):
        return Failure("usage", _usage_message(error), step=getattr(error, "step", ""), exit_code=USAGE_EXIT_CODE)
    if isinstance(error, StartupError):
        code = next(code for kind, code in STARTUP_CODES.items() if isinstance(error, kind))
        return Failure(code, str(error), exit_code=getattr(error, "exit_code", 1))
    if isinstance(error, ModuleNotFoundError):
        package = (error.name or "").partition(".")[0]
        if package in EXTRAS:
            step = f"`pip install 'comfy-worker[{EXTRAS[package]}]'` installs it"
            return Failure("package_missing", f"the package {package} is not installed", step=step)
    return None


def _usage_message(error: Exception) -> str:
    """Return Typer's message, which names the option. Without an option, return the message that the command raised."""
    if isinstance(error, typer.BadParameter) and error.param is None and error.param_hint is None:
        return error.message
    return str(error.format_message())  # type: ignore[attr-defined]
