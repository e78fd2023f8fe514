"""What a worker changed in a workflow, and its warnings, as lines for people."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console

LISTS = ("repairs", "warnings")
"""Keys of an answer."""


def show_changes(console: Console, body: Mapping[str, Any]) -> None:
    """Print the repairs, warnings and seeds of an answer; nothing where it has none."""
    for line in lines(body):
        console.print(f"  {line}", highlight=False, markup=False)


def lines(body: Mapping[str, Any]) -> Iterator[str]:
    """Yield one line for each repair, warning and seed of an answer, or of a report of `POST /validate`."""
    for name in LISTS:
        for one in body.get(name) or ():
            yield f"{name.removesuffix('s')}: {_place(one)}{one['message']}"
    for seed in body.get("metadata", {}).get("seeds") or ():
        yield f"seed: node {seed['node_id']}, {seed['input']} = {seed['value']}"
    for field in body.get("seeds") or ():
        yield f"seed: node {field['node_id']}, {field['input']} is drawn when the job runs"


def _place(one: Mapping[str, Any]) -> str:
    if not one.get("node_id"):
        return ""
    title = f" ({one['node_title']})" if one.get("node_title") else ""
    return f"node {one['node_id']}{title}{', ' + one['input'] if one.get('input') else ''}: "
