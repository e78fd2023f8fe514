"""A plan in words, for a terminal and for a comment: one line a fact."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from worker.fleet.plan.plan import Action, Change, Plan, Step

SIGNS = {Action.DELETE_GROUP: "-", Action.UPDATE_WORKERS: "~", Action.SET_STATE: "~"}
LONGEST = 100


def lines(plan: Plan) -> Iterator[str]:
    """Each begins with `+` (new), `-` (goes), `~` (changes), `✗` (in the way), `=` (left alone), or is empty."""
    for step in plan.steps:
        yield from _step(step)
        yield ""
    yield from (f"✗ {text}" for text in plan.blocked)
    yield from (f"= {text}" for text in plan.left_alone)
    if plan.blocked or plan.left_alone:
        yield ""
    yield summary(plan)


def summary(plan: Plan) -> str:
    """The steps counted, and the most that the whole can cost."""
    if plan.blocked:
        return "nothing can be changed until that is settled"
    signs = [_sign(step) for step in plan.steps]
    counts = [(signs.count("+"), "to make"), (signs.count("~"), "to change"), (signs.count("-"), "to delete")]
    what = ", ".join(f"{count} {word}" for count, word in counts if count) or "no changes"
    return f"{what}; at most ${plan.most_per_hour:.2f} an hour for GPUs, disk and traffic come on top"


def markdown(plan: Plan, title: str = "vast.toml") -> str:
    """For a pull request: a heading, and the diff where there is one."""
    against = " against a stored snapshot" if plan.offline else ""
    head = f"### Plan for `{title}`{against}\n\n{summary(plan)}\n"
    if plan.empty and not plan.blocked and not plan.left_alone:
        return head
    body = "\n".join(line.replace("~", "!", 1) if line.startswith("~") else line for line in lines(plan))
    body = body.rpartition("\n\n")[0]
    # A fence longer than any inside: values come from whoever wrote the file.
    fence = "`" * max(3, 1 + max((len(run) for run in re.findall("`+", body)), default=0))
    return f"{head}\n{fence}diff\n{body}\n{fence}\n"


def _step(step: Step) -> Iterator[str]:
    sign = _sign(step)
    number = f" ({step.id})" if step.id and str(step.id) != step.name else ""
    yield f"{sign} {step.action} {step.name}{number}"
    width = max((len(change.key) for change in step.changes), default=0)
    for change in step.changes:
        yield f"{_change_sign(sign, change)}     {change.key:{width}}  {_told(change)}"


def _sign(step: Step) -> str:
    if step.action is Action.SET_VARIABLE:
        return "+" if step.changes[0].old is None else "~"
    return SIGNS.get(step.action, "+" if step.action.startswith("create") else "~")


def _change_sign(sign: str, change: Change) -> str:
    if sign != "~":
        return sign
    return "+" if change.old is None else "-" if change.new is None else "~"


def _told(change: Change) -> str:
    if change.old is None or change.new is None:
        return _value(change.new if change.old is None else change.old)
    return f"{_value(change.old)} -> {_value(change.new)}"


def _value(value: object) -> str:
    """On one line: text with blanks in quotes, whole numbers without a point."""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, list):
        return ", ".join(map(_value, value))
    text = value if isinstance(value, str) and value.isprintable() else json.dumps(value)
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 3]}..."
