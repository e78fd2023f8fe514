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
        rows = [(pack.name, problems.get(pack.name), f"{pack.commit[:12]} can be fetched") for pack in packs]
        _print_rows([*rows, ("locks", "; ".join(outdated), "match the pins")])
        _print_next_step(missing=bool(problems), outdated=bool(outdated))
    raise typer.Exit(bool(problems or outdated))


def _print_rows(rows: list[tuple[str, str | None, str]]) -> None:
    """Print the name and the problem of each row. A row has a third text, which is printed without a problem."""
    from rich.table import Table
    from rich.text import Text

    from worker.cli.output.screen import screen

    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for name, problem, good in rows:
        sign = ("✗ ", "bold red") if problem else ("✓ ", "green")
        table.add_row(Text.assemble(sign, (name, "bold")), Text((problem or good).removeprefix(f"{name} ")))
    screen().print(table)


def _print_next_step(*, missing: bool, outdated: bool) -> None:
    """Print what to do about missing commits, or else about outdated locks."""
    from worker.cli.output.rows import print_step
    from worker.cli.output.screen import screen

    if missing:
        step = "Check the network, then pin commits that exist with `comfy-worker nodes update NAME@REF`."
        print_step(screen(), step)
    elif outdated:
        print_step(screen(), "Run `comfy-worker nodes lock` to lock the pinned packs.")
