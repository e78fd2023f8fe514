"""`comfy-worker modal`: apps for Modal."""

from __future__ import annotations

import typer

EXAMPLES = ("comfy-worker modal init my-modal-app --out migrated",)


def command(context: typer.Context) -> None:
    """Write apps that run the image on Modal.

    See docs/modal.md. `comfy-worker demo --on modal` runs one on this machine.
    """
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())
