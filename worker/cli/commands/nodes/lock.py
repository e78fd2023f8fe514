"""`comfy-worker nodes lock`: the Python packages of ComfyUI and all packs, resolved together."""

from __future__ import annotations

from typing import Annotated

import typer

from worker.cli.commands.nodes.group import FILE, LOCKS, File, Locks, Sources, pins_in, reported_errors
from worker.cli.options import Json

EXAMPLES = ("comfy-worker nodes lock", "comfy-worker nodes lock --upgrade --sources /opt/sources")


def command(
    *,
    sources: Sources = None,
    upgrade: Annotated[bool, typer.Option("--upgrade", help="Use newer versions than the locked ones.")] = False,
    file: File = FILE,
    locks: Locks = LOCKS,
    as_json: Json = False,
) -> None:
    """Lock the Python packages of all node packs.

    ComfyUI and all packs are resolved together, with hashes, for Linux on x86_64 and Python 3.11 and newer.

    Exit code 1: packs cannot be installed together. The message names them and the reason.
    """
    from worker.cli.output.waiting import waiting
    from worker.node_packs.lock import make_locks
    from worker.node_packs.lockfile import read_entries

    with reported_errors():
        pins = pins_in(file)
        with waiting(f"resolving the Python packages of ComfyUI and {len(pins.packs)} packs"):
            texts = make_locks(pins, sources, locks, upgrade=upgrade)
        locks.mkdir(exist_ok=True)
        for name, text in texts.items():
            (locks / name).write_text(text, "utf-8")
    counts = {name: len(read_entries(text)) for name, text in texts.items()}
    if as_json:
        from worker.cli.output.json_output import print_json

        print_json({name: {"packages": count} for name, count in counts.items()})
        return
    for name, count in counts.items():
        typer.echo(f"{locks / name}  {count} package{'' if count == 1 else 's'}")
