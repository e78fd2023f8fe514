"""`comfy-worker nodes lock`: what ComfyUI and all packs install, resolved together."""

from __future__ import annotations

from typing import Annotated

import typer

from worker.cli.commands.nodes.group import FILE, LOCKS, File, Json, Locks, Sources, pins_in, told


def command(
    *,
    sources: Sources = None,
    upgrade: Annotated[bool, typer.Option("--upgrade", help="take newer versions than those locked")] = False,
    file: File = FILE,
    locks: Locks = LOCKS,
    as_json: Json = False,
) -> None:
    """Lock the Python packages of ComfyUI and all packs.

    One resolution, with hashes, for Linux on x86_64 and Python 3.11 and newer.
    Exit code 1 where packs can't be installed together: it is said which, and why.
    """
    from worker.node_packs.lock import make_locks
    from worker.node_packs.lockfile import read_entries

    with told():
        made = make_locks(pins_in(file), sources, locks, upgrade=upgrade)
        locks.mkdir(exist_ok=True)
        for name, text in made.items():
            (locks / name).write_text(text, "utf-8")
    counts = {name: len(read_entries(text)) for name, text in made.items()}
    if as_json:
        from worker.cli.commands.templates.show import print_json

        print_json({name: {"packages": count} for name, count in counts.items()})
        return
    for name, count in counts.items():
        typer.echo(f"{locks / name}  {count} package{'' if count == 1 else 's'}")
