"""The section of docs/compatibility.md about the validation of prompts, and the differences that fail the suite."""

from __future__ import annotations

from collections.abc import Iterator

from real.verdicts.comparison import VerdictComparison

MOST_LISTED = 40
INTRODUCTION = """\
The worker validates a prompt before ComfyUI does. This section compares both verdicts. Each prompt is sent to
`POST /prompt` of the real ComfyUI, where a node pack keeps it out of the queue. It is also validated by the worker's
rules with the classes and files of that ComfyUI. The two verdicts are equal when they have the same status, the same
type of error, and the same types and inputs in the errors of each node. When ComfyUI stops at an exception or a cycle,
chance decides which nodes it has checked before, so only the nodes that both verdicts name are compared.

| group | its prompts |
|---|---|
| shared | workflows that users shared, as prompts made by the editor |
| without missing classes | the same, without the nodes of classes that are not installed |
| class | one prompt for each class |
| ..., changed | prompts of a group with changed values, limits, choices, links and nodes, made with fixed seeds |
| files | file names of all kinds for each class that reads files |
| hooks | classes whose packs change the prompt before it is validated |
| ...: POST /validate | the response of the worker's own `POST /validate?strict=true` for the prompts of a group |"""


def section(verdicts: VerdictComparison) -> str:
    """Return the section as Markdown, without its heading."""
    total, equal = sum(verdicts.total.values()), sum(verdicts.equal.values())
    rows = [f"| {group} | {count} | {verdicts.equal.get(group, 0)} |" for group, count in verdicts.total.items()]
    head = ["| group | prompts | equal verdicts |", "|---|---|---|"]
    summary = (
        f"{equal} of {total} verdicts are equal. "
        f"ComfyUI rejected {verdicts.refused} of the prompts, some of them only in part."
    )
    listed = "\n".join(f"- {line}" for line in differences(verdicts)) or "No differences."
    return "\n\n".join([INTRODUCTION, summary, "\n".join([*head, *rows]), listed])


def differences(verdicts: VerdictComparison) -> Iterator[str]:
    """Yield one line for each of the first differences, and the number of the others."""
    for case, real, ours in verdicts.differing[:MOST_LISTED]:
        yield f"{case.name} ({case.group}): ComfyUI's verdict is `{real}`, ours is `{ours}`"
    if len(verdicts.differing) > MOST_LISTED:
        yield f"{len(verdicts.differing) - MOST_LISTED} more differences"
