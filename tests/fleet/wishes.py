"""A fleet as a file, and the state of an account after an apply."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Any

from worker.fleet.apply.apply import ApplyResult, apply
from worker.fleet.apply.execution import Execution, required_values
from worker.fleet.apply.ready import ReadinessProgress
from worker.fleet.apply.smoke import SmokeResult
from worker.fleet.definition.fleet import Fleet
from worker.fleet.definition.fleet_file import read_fleet
from worker.fleet.plan.plan import Step, fleet_resources, make_plan
from worker.fleet.vast.account import Account
from worker.simulators.vast_account import LocalAccount

IMAGE = "ghcr.io/acme/comfy-worker:1"
NEXT = "ghcr.io/acme/comfy-worker:2"
VALUES = {name: f"value-of-{name.lower()}" for name in ("HF_TOKEN", "REGISTRY_USER", "REGISTRY_TOKEN")}
FLEET_ID = "0123456789abcdef"
FLEET = f"""
id = "{FLEET_ID}"
environment = ["HF_TOKEN"]

[template]
name = "comfy-worker"
disk_gb = 60

[template.env]
WORKER_MODELS = "sdxl"

[template.filters]
min_cuda = 13.0

[template.registry]
server = "ghcr.io"
user_env = "REGISTRY_USER"
password_env = "REGISTRY_TOKEN"

[endpoint]
name = "comfy"
max_workers = 4

[groups.fast]
gpus = ["RTX 4090", "L40S"]
max_price = 0.8
max_workers = 3

[groups.cheap]
min_vram_gb = 24
max_price = 0.35
max_workers = 2
regions = ["NL", "DE"]

[readiness]
limit_s = 0.4
"""


def fleet(image: str = IMAGE, **replaced: str) -> Fleet:
    """Return the fleet; `replaced` maps texts of the file to new ones, with `__` for ` = `."""
    text = FLEET
    for old, new in replaced.items():
        key, _, value = old.partition("__")
        assert f"{key} = {value}" in text
        text = text.replace(f"{key} = {value}", new)
    return read_fleet(text, image)


@dataclass
class RecordedApply:
    """Records the messages of an apply."""

    steps: list[Step] = field(default_factory=list)
    looks: list[ReadinessProgress] = field(default_factory=list)
    words: list[str] = field(default_factory=list)

    def step_done(self, step: Step) -> None:
        self.steps.append(step)

    def waiting(self, progress: ReadinessProgress) -> None:
        self.looks.append(progress)

    def message(self, text: str) -> None:
        self.words.append(text)


def carry_out(
    account: Account,
    wanted: Fleet,
    rotate: Collection[str] = (),
    smoke: Callable[[], SmokeResult] | None = None,
    heard: RecordedApply | None = None,
) -> ApplyResult:
    """Read, plan and apply, as the command does."""
    actual = account.read()
    plan = make_plan(wanted, actual, rotate)
    execution = Execution(account, wanted, fleet_resources(wanted, actual), required_values(wanted, plan, VALUES))
    return apply(execution, account, wanted, plan, smoke, heard or RecordedApply())


def state(local: LocalAccount) -> dict[str, Any]:
    """Return the contents of the account without ids and keys, for comparisons."""
    own, gone = local.holdings, ("id", "api_key", "user_id", "endpoint_id", "created_at")
    mine = list(own.templates.listed({"creator_id": {"eq": own.user_id}}))
    return {
        "environment": dict(own.environment),
        "templates": [(row["name"], row["hash_id"]) for row in mine],
        "endpoints": [_without(row, gone) for row in own.endpoints.values()],
        "groups": [_without(row, gone) for row in own.groups.values()],
        "workers": sorted(member.template_hash for member in local.workers.members.values()),
    }


def _without(row: dict[str, Any], names: Collection[str]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name not in names}
