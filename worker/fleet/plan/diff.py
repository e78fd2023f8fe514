"""A plan as text, one line a fact, for a terminal and for a comment on a pull request."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from worker.fleet.plan.plan import Action, Change, Plan, Step

SIGNS = {Action.DELETE_GROUP: "-", Action.UPDATE_WORKERS: "~", Action.SET_STATE: "~"}
MAX_VALUE_CHARS = 100


def lines(plan: Plan) -> Iterator[str]:
    """Yield the lines of a plan.

    Each starts with `+` (created), `-` (deleted), `~` (changed), `✗` (blocks the plan) or `=` (left alone). Lines
    between two steps are empty.
    """
    for step in plan.steps:
        yield from _step(step)
        yield ""
    yield from (f"✗ {text}" for text in plan.blocked)
    yield from (f"= {text}" for text in plan.left_alone)
    if plan.blocked or plan.left_alone:
        yield ""
    yield summary(plan)


def summary(plan: Plan) -> str:
    """Return the numbers of steps and the highest possible cost, or that the plan is blocked, in one line."""
    if plan.blocked:
        return "nothing can be changed until this is resolved"
    signs = [_sign(step) for step in plan.steps]
    counts = [(signs.count("+"), "to create"), (signs.count("~"), "to change"), (signs.count("-"), "to delete")]
    steps = ", ".join(f"{count} {word}" for count, word in counts if count) or "no changes"
    return f"{steps}; at most ${plan.most_per_hour:.2f} per hour for GPUs, plus disk and traffic"


def markdown(plan: Plan, title: str = "vast.toml") -> str:
    """Return the plan as Markdown for a pull request: a heading with the summary, and a diff if there is anything."""
    against = " against a stored snapshot" if plan.offline else ""
    heading = f"### Plan for `{title}`{against}\n\n{summary(plan)}\n"
    if plan.empty and not plan.blocked and not plan.left_alone:
        return heading
    # GitHub shows a line with `!` in a diff as changed.
    body = "\n".join(line.replace("~", "!", 1) if line.startswith("~") else line for line in lines(plan))
    body = body.rpartition("\n\n")[0]  # without the summary, which is in the heading
    # The fence has to be longer than any in the values, which come from the author of the file.
    fence = "`" * max(3, 1 + max((len(backticks) for backticks in re.findall("`+", body)), default=0))
    return f"{heading}\n{fence}diff\n{body}\n{fence}\n"


def _step(step: Step) -> Iterator[str]:
    """Yield the lines of one step."""
    sign = _sign(step)
    number = f" ({step.id})" if step.id and str(step.id) != step.name else ""
    yield f"{sign} {step.action} {step.name}{number}"
    width = max((len(change.key) for change in step.changes), default=0)
    for change in step.changes:
        yield f"{_change_sign(sign, change)}     {change.key:{width}}  {_change_text(change)}"


def _sign(step: Step) -> str:
    """Return the sign of a step: `+`, `-` or `~`. A variable that exists already is changed."""
    if step.action is Action.SET_VARIABLE:
        return "+" if step.changes[0].old is None else "~"
    return SIGNS.get(step.action, "+" if step.action.startswith("create") else "~")


def _change_sign(sign: str, change: Change) -> str:
    """Return the sign of one change in a step with this sign. A step with `~` may add or remove facts."""
    if sign != "~":
        return sign
    if change.old is None:
        return "+"
    return "-" if change.new is None else "~"


def _change_text(change: Change) -> str:
    """Return a change as `old -> new`, or the one value that exists."""
    if change.old is None or change.new is None:
        return _value(change.new if change.old is None else change.old)
    return f"{_value(change.old)} -> {_value(change.new)}"


def _value(value: object) -> str:
    """Return a value on one line: whole numbers without a decimal point, unprintable text as JSON, long text cut."""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, list):
        return ", ".join(map(_value, value))
    text = value if isinstance(value, str) and value.isprintable() else json.dumps(value)
    return text if len(text) <= MAX_VALUE_CHARS else f"{text[: MAX_VALUE_CHARS - 3]}..."
