"""The part of docs/compatibility.md about verdicts, and what fails the suite."""

from __future__ import annotations

from collections.abc import Iterator

from real.verdicts.comparison import VerdictComparison

MOST_LISTED = 40
INTRODUCTION = """\
Each prompt is sent to `POST /prompt` of the ComfyUI, in which a node pack keeps it from being queued, and judged by our
rules with that ComfyUI's classes and files: status, type of error, and type and input of each node's errors have to be
equal. Where ComfyUI stops at an exception or a cycle, what it has looked at before is left to chance: there the nodes
are compared that both name. The prompts: those that the editor made of shared workflows, the same without classes that
are not installed, one around each class, changed ones (values, limits, choices, links, nodes; the seeds are fixed),
names of files of all kinds for each class that looks for files, and classes whose packs change the prompt before it
is validated. *POST /validate*: the worker's own answer with `strict=true`."""


def section(found: VerdictComparison) -> str:
    total, equal = sum(found.total.values()), sum(found.equal.values())
    rows = [f"| {group} | {count} | {found.equal.get(group, 0)} |" for group, count in found.total.items()]
    head = ["| prompts | verdicts | equal |", "|---|---|---|"]
    summary = f"{equal} of {total} equal; ComfyUI refused {found.refused} of the prompts, or a part of them."
    listed = "\n".join(f"- {line}" for line in differences(found)) or "No differences."
    return "\n\n".join([INTRODUCTION, summary, "\n".join([*head, *rows]), listed])


def differences(found: VerdictComparison) -> Iterator[str]:
    """Yield a line each, the first ones."""
    for case, real, ours in found.differing[:MOST_LISTED]:
        yield f"{case.name} ({case.group}): ComfyUI says `{real}`, we say `{ours}`"
    if len(found.differing) > MOST_LISTED:
        yield f"and {len(found.differing) - MOST_LISTED} more"
