"""The section of docs/compatibility.md about predicted work, and the differences that fail the suite."""

from __future__ import annotations

from collections.abc import Iterator

from real.load.comparison import FactCount, LoadComparison, LoadFact
from real.load.sampling_prompts import MODEL

INTRODUCTION = f"""\
The worker predicts the time of a job from its prompt: from the nodes that will run, the steps of its samplers, and the
nodes whose results ComfyUI still has. This section compares the three with ComfyUI's events, for each prompt of the
jobs above, and for further prompts with a checkpoint of random weights (`{MODEL}`).

- A node that was predicted to run must report that it is executing, and no other node may run. Of several nodes with
  the same inputs, ComfyUI runs one.
- The steps of a sampler must be the total that it reports with its progress.
- A node that was predicted to be cached must be cached. ComfyUI keeps the results of the last prompt. If the machine
  has more free memory than ComfyUI wants to keep free, it keeps earlier results too."""
MOST_LISTED = 40


def section(load: LoadComparison) -> str:
    """Return the section as Markdown, without its heading."""
    rows = [_row(group, load) for group in load.counts]
    head = f"| prompts | number | {' | '.join(LoadFact)} |\n|{'---|' * (2 + len(LoadFact))}"
    parts = [INTRODUCTION, "Correct predictions of all, by the groups of prompts:", "\n".join([head, *rows])]
    if load.skipped:
        parts.append(f"The further prompts were not sent: {load.skipped}.")
    parts.append("\n".join(f"- {line}" for line in differences(load)) or "No differences without a known reason.")
    if load.known:
        parts.append("Known differences:\n\n" + "\n".join(f"- {line}" for line in load.known))
    return "\n\n".join(parts)


def differences(load: LoadComparison) -> Iterator[str]:
    """Yield one line for each of the first differences, and the number of the others."""
    yield from load.differing[:MOST_LISTED]
    if len(load.differing) > MOST_LISTED:
        yield f"{len(load.differing) - MOST_LISTED} more differences"


def _row(group: str, load: LoadComparison) -> str:
    """Return the row of one group."""
    counts = (load.counts[group].get(fact, FactCount()) for fact in LoadFact)
    cells = (f"{count.right} of {count.total}" if count.total else "-" for count in counts)
    return f"| {group} | {load.prompts[group]} | {' | '.join(cells)} |"
