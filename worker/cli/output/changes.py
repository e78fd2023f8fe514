"""The repairs, seeds and warnings of a response, as lines for people."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console

LISTS = ("repairs", "warnings")
"""Keys of a response whose values are lists of changes, each with a message and a place."""


def show_changes(console: Console, body: Mapping[str, Any]) -> None:
    """Print the repairs, warnings and seeds of a response."""
    for line in lines(body):
        console.print(f"  {line}", highlight=False, markup=False)


def lines(body: Mapping[str, Any]) -> Iterator[str]:
    """Yield a line for each repair, warning and seed of a result or of a report of `POST /validate`."""
    for name in LISTS:
        for row in body.get(name) or ():
            yield f"{name.removesuffix('s')}: {_place(row)}{row['message']}"
    # A result has the seeds that the job used. A report of a validation has the inputs that get a seed later.
    for seed in body.get("metadata", {}).get("seeds") or ():
        yield f"seed: node {seed['node_id']}, {seed['input']} = {seed['value']}"
    for field in body.get("seeds") or ():
        yield f"seed: node {field['node_id']}, {field['input']} is drawn when the job runs"


def _place(row: Mapping[str, Any]) -> str:
    """Return `node 3 (Sampler), seed: `, or an empty text for the workflow as a whole."""
    if not row.get("node_id"):
        return ""
    title = f" ({row['node_title']})" if row.get("node_title") else ""
    return f"node {row['node_id']}{title}{', ' + row['input'] if row.get('input') else ''}: "
