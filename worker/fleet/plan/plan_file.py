"""A plan as JSON: what `plan --out` writes and `apply --plan` holds against the account as it is then."""

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
    """For `--json` and `--out`; no secrets, no values of variables."""
    plain: dict[str, Any] = json.loads(json.dumps({"version": VERSION, **dataclasses.asdict(plan)}))
    return plain


def load(text: str | bytes) -> Plan:
    """Raises PlanFileError."""
    try:
        data = json.loads(text)
        if data.pop("version") != VERSION:
            raise PlanFileError("the plan was made by another version of comfy-worker: make a new one")
        steps = tuple(_step(row) for row in data.pop("steps"))
        lists = {name: tuple(data.pop(name)) for name in LISTS}
        return Plan(**{**data, **lists, "steps": steps})
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise PlanFileError(f"this is no plan: {type(error).__name__} {error}") from error


def check_fresh(planned: Plan, now: Plan) -> None:
    """Raises StalePlan, with what has changed: the account, or what is wanted of it."""
    if planned.offline:
        raise StalePlan("this plan was made against a stored snapshot: plan against the account to apply")
    if planned.fingerprint != now.fingerprint:
        raise StalePlan("the account has changed since this was planned: look at a new plan")
    # What is left alone is others', who may change it meanwhile.
    if as_dict(replace(planned, left_alone=())) != as_dict(replace(now, left_alone=())):
        raise StalePlan("vast.toml or --image is not what this was planned with: look at a new plan")


def _step(row: dict[str, Any]) -> Step:
    changes = tuple(Change(**change) for change in row["changes"])
    return Step(Action(row["action"]), row["name"], changes, row["id"])
