"""A plan as JSON: `plan --out` writes it, and `apply --plan` compares it with a plan for the account at that time."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import replace
from typing import Any

from worker.errors import PlanFileError, StalePlan
from worker.fleet.plan.plan import Action, Change, Plan, Step

VERSION = 2
LISTS = ("rotated", "blocked", "left_alone")


def as_dict(plan: Plan) -> dict[str, Any]:
    """Return the plan as plain JSON values, without secrets and without values of variables."""
    plain: dict[str, Any] = json.loads(json.dumps({"version": VERSION, **dataclasses.asdict(plan)}))
    return plain


def load(text: str | bytes) -> Plan:
    """Return the plan in the JSON text that `as_dict` made. Raises PlanFileError for any other text."""
    try:
        data = json.loads(text)
        if data.pop("version") != VERSION:
            raise PlanFileError("the plan was made by another version of comfy-worker: make a new one")
        steps = tuple(_step(row) for row in data.pop("steps"))
        lists = {name: tuple(data.pop(name)) for name in LISTS}
        return Plan(**{**data, **lists, "steps": steps})
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise PlanFileError(f"the file is not a plan: {type(error).__name__} {error}") from error


def check_fresh(planned: Plan, now: Plan) -> None:
    """Raise StalePlan when `planned` may not be applied, because the account, the file or the image has changed.

    `now` is a new plan against the account.
    """
    if planned.offline:
        raise StalePlan("this plan was made against a stored snapshot: make a plan against the account to apply it")
    if planned.fingerprint != now.fingerprint:
        raise StalePlan("the account has changed since this plan was made: make a new plan")
    # `left_alone` is not compared, because others may change their rows at any time.
    if as_dict(replace(planned, left_alone=())) != as_dict(replace(now, left_alone=())):
        raise StalePlan("vast.toml or --image has changed since this plan was made: make a new plan")


def _step(row: dict[str, Any]) -> Step:
    """Return the step in its JSON form."""
    changes = tuple(Change(**change) for change in row["changes"])
    return Step(Action(row["action"]), row["name"], changes, row["id"])
