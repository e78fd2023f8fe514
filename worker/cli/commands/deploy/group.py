"""`comfy-worker deploy`: a fleet at Vast as `vast.toml` says."""

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

File = Annotated[Path, typer.Option(help="the fleet")]
Image = Annotated[str | None, typer.Option(metavar="REPO@DIGEST", help="instead of the file's image")]
Server = Annotated[str | None, typer.Option(metavar="URL", help="a stand-in of Vast's API, to try things on")]
Json = Annotated[bool, typer.Option("--json", help="print one JSON object")]
Rotate = Annotated[list[str] | None, typer.Option(metavar="NAME", help="write this variable again; repeatable")]

UNNAMED = "ghcr.io/unnamed:0"
"""Where a command needs no image, any will do in the file's place."""


def command(context: typer.Context) -> None:
    """Make an account at Vast hold what vast.toml says.

    VAST_API_KEY opens the account. See docs/deploy.md.
    """
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


def fleet_in(file: Path, image: str | None = None) -> Fleet:
    """Raises DeployError with all that is wrong with the file."""
    from worker.fleet.definition.fleet_file import read_fleet

    return read_fleet(file.read_text("utf-8"), image)


@contextmanager
def account(server: str | None) -> Iterator[Account]:
    """Raises StartupError where there is no key."""
    from worker.errors import StartupError
    from worker.fleet.vast.account import Account
    from worker.fleet.vast.console import CONSOLE
    from worker.settings import environment

    key = environment().get("VAST_API_KEY")
    if not key:
        raise StartupError("VAST_API_KEY is not set: make a key in Vast's console")
    with Account(key, server or CONSOLE) as found:
        yield found


@contextmanager
def told() -> Iterator[None]:
    """What goes wrong with the file or the account is a sentence and exit code 1."""
    from worker.errors import DeployError, FleetError, NotThisFleet, StartupError

    try:
        yield
    except FleetError as error:
        lines = "\n".join(f"  {problem}" for problem in error.problems)
        raise StartupError(f"vast.toml can't be used:\n{lines}") from error
    except NotThisFleet as error:
        raise StartupError("\n".join((*error.reasons, f"[{error.code}]"))) from error
    except DeployError as error:
        raise StartupError(f"{error}  [{error.code}]") from error
    except OSError as error:
        raise StartupError(f"{error.filename}: {(error.strerror or str(error)).lower()}") from error


def check_smoke(fleet: Fleet) -> None:
    """A job that can't be sent is found before anything is changed. Raises DeployError."""
    from worker.fleet.apply.smoke import job_of
    from worker.settings import Settings
    from worker.workflow.templates.library import read_library

    if fleet.smoke:
        job_of(fleet.smoke, read_library(Settings.from_env().templates))
