"""`comfy-worker proxy key`: a new key for a caller of the proxy."""

from __future__ import annotations

from typing import Annotated

import typer

from worker.cli.options import Json
from worker.cli.output.json_output import print_json

EXAMPLES = ("comfy-worker proxy key web", "comfy-worker proxy key web --json")


def command(
    name: Annotated[str, typer.Argument(help="Name of the caller, which owns its jobs.")],
    *,
    as_json: Json = False,
) -> None:
    """Make a key for a caller of the proxy, and print its table for proxy.toml.

    The key is printed once and stored nowhere. The file has only its SHA-256.
    """
    from worker.backends.settings import NAME
    from worker.proxy.callers import key_hash, new_key

    if not NAME.fullmatch(name):
        raise typer.BadParameter(f"{name!r} is no name: use up to 64 letters, digits, dots and hyphens")
    key = new_key()
    digest = key_hash(key.encode())
    if as_json:
        print_json({"name": name, "key": key, "key_sha256": digest})
        return
    typer.echo("The key, which is shown only now. Send it as `Authorization: Bearer KEY`:", err=True)
    typer.echo(key)
    typer.echo("\nAdd this to proxy.toml:", err=True)
    typer.echo(f'\n[[callers]]\nname = "{name}"\nkey_sha256 = "{digest}"', err=True)
