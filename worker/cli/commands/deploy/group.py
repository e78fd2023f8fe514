"""`comfy-worker deploy`: a fleet at Vast that `vast.toml` describes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from worker.fleet.definition.fleet import Fleet
    from worker.fleet.vast.account import Account

FILE = Path("vast.toml")

EXAMPLES = (
    "comfy-worker deploy init",
    "comfy-worker deploy plan --image ghcr.io/you/comfy-worker@sha256:DIGEST",
    "comfy-worker deploy status",
)

File = Annotated[Path, typer.Option(help="File that describes the fleet.")]
Image = Annotated[str | None, typer.Option(metavar="REPO@DIGEST", help="Image of the workers, instead of the file's.")]
Server = Annotated[str | None, typer.Option(metavar="URL", help="URL of a local copy of Vast's API, for tests.")]
Rotate = Annotated[
    list[str] | None, typer.Option(metavar="NAME", help="Write this variable of the account again. Repeatable.")
]

UNNAMED = "ghcr.io/unnamed:0"
"""The image for commands that use none, in place of the file's."""


def command(context: typer.Context) -> None:
    """Manage a fleet at Vast with vast.toml.

    The API key of the account is in VAST_API_KEY. See docs/deploy.md.
    """
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


def fleet_in(file: Path, image: str | None = None) -> Fleet:
    """Return the fleet in a file. Raises FleetError with every problem of the file."""
    from worker.fleet.definition.fleet_file import read_fleet

    return read_fleet(file.read_text("utf-8"), image)


@contextmanager
def account(server: str | None) -> Iterator[Account]:
    """Yield the account at Vast, or at a local copy of its API. Raises Failure without an API key."""
    from worker.cli.output.failure import Failure
    from worker.fleet.vast.account import Account
    from worker.fleet.vast.console import CONSOLE
    from worker.settings import environment

    key = environment().get("VAST_API_KEY")
    if not key:
        raise Failure("key_missing", "VAST_API_KEY is not set: it has to be an API key of your Vast account")
    with Account(key, server or CONSOLE) as opened:
        yield opened


@contextmanager
def reported_errors(file: Path = FILE) -> Iterator[None]:
    """Turn errors of the file and of the account into failures of the command."""
    from worker.cli.output.failure import Failure
    from worker.errors import DeployError, Detail, FleetError

    try:
        yield
    except FleetError as error:
        details = [Detail(str(problem)) for problem in error.problems]
        raise Failure(error.code, f"{file} is not valid", details) from error
    except DeployError as error:
        raise Failure(error.code, str(error)) from error
    except OSError as error:
        raise Failure("file_unreadable", f"{error.filename}: {(error.strerror or str(error)).lower()}") from error


def check_smoke(fleet: Fleet) -> None:
    """Check that the smoke job can be sent, before anything is changed. Raises DeployError."""
    from worker.fleet.apply.smoke import smoke_job
    from worker.settings import Settings
    from worker.workflow.templates.library import read_library

    if fleet.smoke:
        smoke_job(fleet.smoke, read_library(Settings.from_env().templates))
