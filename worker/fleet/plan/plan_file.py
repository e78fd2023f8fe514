"""A plan as JSON: what `plan --out` writes and `apply --plan` holds against the account as it is then."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

from worker.errors import PlanFileError, StalePlan
from worker.fleet.plan.plan import Action, Change, Plan, Step

VERSION = 1


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
        return Plan(steps=steps, rotated=tuple(data.pop("rotated")), **data)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise PlanFileError(f"this is no plan: {type(error).__name__} {error}") from error


def check_fresh(planned: Plan, now: Plan) -> None:
    """Raises StalePlan, with what has changed: the account, or what is wanted of it."""
    if planned.offline:
        raise StalePlan("this plan was made against a stored snapshot: plan against the account to apply")
    if planned.fingerprint != now.fingerprint:
        raise StalePlan("the account has changed since this was planned: look at a new plan")
    if as_dict(planned) != as_dict(now):
        raise StalePlan("vast.toml or --image is not what this was planned with: look at a new plan")


def _step(row: dict[str, Any]) -> Step:
    changes = tuple(Change(**change) for change in row["changes"])
    return Step(Action(row["action"]), row["name"], changes, row["id"])
