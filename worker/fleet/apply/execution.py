"""The steps of a plan, taken one after the other; each is safe to take again after an apply that was cut off."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from worker.errors import DeployError, MissingValues
from worker.fleet.definition.fleet import Fleet
from worker.fleet.plan.desired_state import endpoint_body, group_body, template_body
from worker.fleet.plan.plan import Action, FleetResources, Plan, Step
from worker.fleet.plan.versions import previous_version
from worker.fleet.vast.account import Account
from worker.fleet.vast.rows import EndpointRow, GroupRow, TemplateRow


def values_for(fleet: Fleet, plan: Plan, environ: Mapping[str, str]) -> dict[str, str]:
    """What the plan's steps need of the local environment. Raises MissingValues with all that isn't there."""
    needed = [step.name for step in plan.steps if step.action is Action.SET_VARIABLE]
    registry = fleet.template.registry
    if registry and plan.has(Action.CREATE_TEMPLATE, Action.CHANGE_TEMPLATE):
        needed += [registry.user_env, registry.password_env]
    missing = [name for name in dict.fromkeys(needed) if not environ.get(name)]
    if missing:
        raise MissingValues(f"set {', '.join(missing)} in the environment of this command: the plan needs their values")
    return {name: environ[name] for name in needed}


class Execution:
    """`template`, `endpoint` and `groups` (by name) are what is there after the steps taken so far.

    `previous_versions` is the hash that each group had, as far as it is known and another one.
    """

    def __init__(self, account: Account, fleet: Fleet, there: FleetResources, values: Mapping[str, str]) -> None:
        self.template = there.template
        self.endpoint = there.endpoint
        self.groups: dict[str, GroupRow] = dict(there.matches.by_name)
        self.previous_versions: dict[str, str] = {}
        self._account = account
        self._fleet = fleet
        self._there = there
        self._extra = {group.id: group for group in there.matches.extra}
        self._values = values

    def take(self, step: Step) -> None:
        """Raises DeployError; then the step may have been taken or not."""
        takes: Mapping[Action, Callable[[Step], None]] = {
            Action.SET_VARIABLE: self._set_variable,
            Action.CREATE_TEMPLATE: self._save_template,
            Action.CHANGE_TEMPLATE: self._save_template,
            Action.CREATE_ENDPOINT: self._create_endpoint,
            Action.CHANGE_ENDPOINT: self._change_endpoint,
            Action.SET_STATE: self._set_state,
            Action.CREATE_GROUP: self._create_group,
            Action.CHANGE_GROUP: self._change_group,
            Action.DELETE_GROUP: self._delete_group,
            Action.UPDATE_WORKERS: self._update_workers,
        }
        takes[step.action](step)

    def record_previous_versions(self) -> None:
        """After the steps: what each group had before, or what its template replaced where it has the new one."""
        if self.template is None:
            return
        for name, group in self.groups.items():
            before = self._there.matches.by_name.get(name)
            former = before.template_hash if before else ""
            if former in ("", group.template_hash):
                former = previous_version(self.template.body) if before else ""
            if former and former != group.template_hash:
                self.previous_versions[name] = former

    def _set_variable(self, step: Step) -> None:
        self._account.set_environment(step.name, self._values[step.name])

    def _save_template(self, _: Step) -> None:
        body = template_body(self._fleet, self._there.former, self._there.earlier)
        self.template = self._account.save_template(self._with_login(body), self.template)

    def _with_login(self, body: dict[str, Any]) -> dict[str, Any]:
        registry = self._fleet.template.registry
        if registry is None:
            return body
        user, password = self._values[registry.user_env], self._values[registry.password_env]
        return {**body, "docker_login_user": user, "docker_login_pass": password}

    def _create_endpoint(self, _: Step) -> None:
        self.endpoint = self._account.create_endpoint(endpoint_body(self._fleet))

    def _change_endpoint(self, _: Step) -> None:
        self.endpoint = self._account.update_endpoint(self._made_endpoint, endpoint_body(self._fleet))

    def _set_state(self, _: Step) -> None:
        self.endpoint = self._account.set_state(self._made_endpoint, self._fleet.endpoint.state)

    def _create_group(self, step: Step) -> None:
        self.groups[step.name] = self._account.create_group(self._made_endpoint, self._group_body(step.name))

    def _change_group(self, step: Step) -> None:
        self.groups[step.name] = self._account.update_group(self.groups[step.name], self._group_body(step.name))

    def _delete_group(self, step: Step) -> None:
        self._account.delete_group(self._extra[int(step.id or 0)])

    def _update_workers(self, step: Step) -> None:
        self._account.update_workers(self.groups[step.name])

    def _group_body(self, name: str) -> dict[str, Any]:
        return group_body(self._fleet, self._fleet.groups[name], self._made_template.hash)

    @property
    def _made_endpoint(self) -> EndpointRow:
        if self.endpoint is None:
            raise DeployError("the plan makes no endpoint and there is none")
        return self.endpoint

    @property
    def _made_template(self) -> TemplateRow:
        if self.template is None:
            raise DeployError("the plan makes no template and there is none")
        return self.template
