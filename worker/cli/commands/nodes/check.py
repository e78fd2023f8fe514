"""`comfy-worker nodes check`: whether the pinned commits exist and the locks are current."""

from __future__ import annotations

import typer

from worker.cli.commands.nodes.group import FILE, LOCKS, File, Locks, pins_in, reported_errors
from worker.cli.options import Json

EXAMPLES = ("comfy-worker nodes check", "comfy-worker nodes check --json")


def command(*, file: File = FILE, locks: Locks = LOCKS, as_json: Json = False) -> None:
    """Check the pinned commits and the locks.

    Fetches each commit from its server, and compares the locks with the pins.

    Exit code 1: a commit cannot be fetched, or a lock is out of date.
    """
    from worker.cli.output.waiting import waiting
    from worker.node_packs.lock import constraints_in
    from worker.node_packs.lockfile import stale_locks
    from worker.node_packs.remote import unavailable_commits

    with reported_errors():
        pins = pins_in(file)
        packs = (pins.comfyui, *pins.packs)
        with waiting(f"fetching the commits of {len(packs)} repositories"):
            problems = unavailable_commits(packs)
        lock_texts = {path.name: path.read_text("utf-8") for path in locks.glob("*.lock")}
        outdated = list(stale_locks(lock_texts, pins, constraints_in(locks)))
    if as_json:
        from worker.cli.output.json_output import print_json

        print_json({"packs": {pack.name: problems.get(pack.name) for pack in packs}, "locks": outdated})
    else:
        from rich.text import Text

        from worker.cli.output.screen import screen

        rows = [(pack.name, problems.get(pack.name), f"{pack.commit[:12]} can be fetched") for pack in packs]
        rows.append(("locks", "; ".join(outdated), "match the pins"))
        for name, problem, good in rows:
            sign = ("✗ ", "bold red") if problem else ("✓ ", "green")
            screen().print(Text.assemble(sign, (name, "bold"), "  ", problem or good))
        if problems:
            screen().print("→ Pin other commits with `comfy-worker nodes update NAME@REF`.")
        elif outdated:
            screen().print("→ comfy-worker nodes lock")
    raise typer.Exit(bool(problems or outdated))
