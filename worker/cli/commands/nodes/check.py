"""`comfy-worker nodes check`: do the pins still hold?"""

from __future__ import annotations

import typer

from worker.cli.commands.nodes.group import FILE, LOCKS, File, Json, Locks, pins_in, told


def command(*, file: File = FILE, locks: Locks = LOCKS, as_json: Json = False) -> None:
    """Say whether each commit can still be had, and whether the locks are of these pins.

    Each commit is asked of its server. Exit code 1 where one can't be had or a lock is out of date.
    """
    from worker.node_packs.lock import constraints_in
    from worker.node_packs.lockfile import stale_locks
    from worker.node_packs.remote import unavailable_commits

    with told():
        pins = pins_in(file)
        packs = (pins.comfyui, *pins.packs)
        gone = unavailable_commits(packs)
        found = {path.name: path.read_text("utf-8") for path in locks.glob("*.lock")}
        old = list(stale_locks(found, pins, constraints_in(locks)))
    if as_json:
        from worker.cli.commands.templates.show import print_json

        print_json({"packs": {pack.name: gone.get(pack.name) for pack in packs}, "locks": old})
    else:
        from rich.text import Text

        from worker.cli.output.screen import screen

        rows = [(pack.name, gone.get(pack.name), f"{pack.commit[:12]} can be had") for pack in packs]
        rows += [("locks", "; ".join(old) and f"{'; '.join(old)}: comfy-worker nodes lock", "are of these pins")]
        for name, bad, good in rows:
            sign = ("✗ ", "bold red") if bad else ("✓ ", "green")
            screen().print(Text.assemble(sign, (name, "bold"), "  ", bad or good))
    raise typer.Exit(bool(gone or old))
