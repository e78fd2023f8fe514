"""`comfy-worker deploy status`: the state of the fleet."""

from __future__ import annotations

from typing import TYPE_CHECKING

from worker.cli.commands.deploy.group import FILE, UNNAMED, File, Server, account, fleet_in, reported_errors
from worker.cli.options import Json

if TYPE_CHECKING:
    from worker.fleet.vast.status import FleetStatus

EXAMPLES = ("comfy-worker deploy status", "comfy-worker deploy status --json")


def command(*, file: File = FILE, as_json: Json = False, server_url: Server = None) -> None:
    """Show the endpoint, its workers and their cost.

    The cost is in dollars an hour, if all workers run.
    """
    from worker.cli.output.waiting import waiting
    from worker.fleet.vast.status import fleet_status

    with reported_errors(file):
        fleet = fleet_in(file, UNNAMED)
        with account(server_url) as vast, waiting("reading the account at Vast"):
            status = fleet_status(vast, fleet, vast.read())
    if as_json:
        from worker.cli.output.json_output import print_json

        print_json(status.as_dict())
    else:
        _print_status(status)


def _print_status(status: FleetStatus) -> None:
    """Print the endpoint, a row for each group and each worker, and the cost."""
    from rich.table import Table
    from rich.text import Text

    from worker.cli.output.screen import screen
    from worker.fleet.vast.offer import query_text

    console = screen()
    console.print(Text.assemble(("endpoint ", "dim"), (status.endpoint.name, "bold"), f"  {status.endpoint.state}"))
    groups = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    for group in status.groups:
        version = "" if status.template and group.template_hash == status.template.hash else "  (another version)"
        name = status.names.get(group.id, "not in the file")
        groups.add_row(f"group {group.id}", name, f"template {group.template_hash}{version}", query_text(group.search))
    console.print(groups)
    workers = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    for row in status.workers:
        not_ready = ("✗", "bold red") if row.error else ("·", "dim")
        sign = ("✓", "green") if row.ready else not_ready
        perf = f"{row.measured_perf:.2f}/s" if row.ready else ""
        price = f"${status.prices[row.id]:.3f}/h" if row.id in status.prices else ""
        workers.add_row(Text(*sign), f"worker {row.id}", row.status, perf, price)
    console.print(workers)
    count = f"{len(status.workers)} workers" if len(status.workers) != 1 else "1 worker"
    console.print(Text(f"{count}, ${status.per_hour:.2f} an hour if all run", "dim"))
