"""The steps of a plan. Each step is safe to repeat after an interrupted apply."""

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


def required_values(fleet: Fleet, plan: Plan, environ: Mapping[str, str]) -> dict[str, str]:
    """Return the environment variables that the plan's steps need, by name.

    Raises MissingValues, which names all that are not set in `environ`.
    """
    needed = [step.name for step in plan.steps if step.action is Action.SET_VARIABLE]
    registry = fleet.template.registry
    if registry and plan.has(Action.CREATE_TEMPLATE, Action.CHANGE_TEMPLATE):
        needed += [registry.user_env, registry.password_env]
    missing = [name for name in dict.fromkeys(needed) if not environ.get(name)]
    if missing:
        raise MissingValues(f"set {', '.join(missing)} in the environment of this command: the plan needs their values")
    return {name: environ[name] for name in needed}


class Execution:
    """Runs the steps of a plan, and knows the rows as they are after the steps so far.

    `groups` has the groups by their names in the file. `previous_versions` maps those names to the template hash that
    each group had before, where it is known and differs from the present one.
    """

    def __init__(self, account: Account, fleet: Fleet, resources: FleetResources, values: Mapping[str, str]) -> None:
        self.template = resources.template
        self.endpoint = resources.endpoint
        self.groups: dict[str, GroupRow] = dict(resources.matches.by_name)
        self.previous_versions: dict[str, str] = {}
        self._account = account
        self._fleet = fleet
        self._resources = resources
        self._unmatched_groups = {group.id: group for group in resources.matches.extra}
        self._values = values

    def run(self, step: Step) -> None:
        """Run one step, and store the template, endpoint or group that it made or changed.

        Raises DeployError. The step may have taken effect even then.
        """
        methods: Mapping[Action, Callable[[Step], None]] = {
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
        methods[step.action](step)

    def record_previous_versions(self) -> None:
        """Fill `previous_versions`. Call it after the last step.

        The previous version of a group is the template hash that it had before the steps. If that hash was already the
        present one, as after an interrupted apply, it is the hash that the template's description names. A group that
        the plan has created has no previous version.
        """
        if self.template is None:
            return
        for name, group in self.groups.items():
            group_before = self._resources.matches.by_name.get(name)
            if group_before is None:
                continue
            previous = group_before.template_hash
            if previous in ("", group.template_hash):
                previous = previous_version(self.template.body)
            if previous and previous != group.template_hash:
                self.previous_versions[name] = previous

    def _set_variable(self, step: Step) -> None:
        self._account.set_environment(step.name, self._values[step.name])

    def _save_template(self, _: Step) -> None:
        body = template_body(self._fleet, self._resources.current_hash, self._resources.all_hashes)
        self.template = self._account.save_template(self._with_login(body), self.template)

    def _with_login(self, body: dict[str, Any]) -> dict[str, Any]:
        """Return a template's body with the registry's login, if the fleet has one."""
        registry = self._fleet.template.registry
        if registry is None:
            return body
        user, password = self._values[registry.user_env], self._values[registry.password_env]
        return {**body, "docker_login_user": user, "docker_login_pass": password}

    def _create_endpoint(self, _: Step) -> None:
        self.endpoint = self._account.create_endpoint(endpoint_body(self._fleet))

    def _change_endpoint(self, _: Step) -> None:
        self.endpoint = self._account.update_endpoint(self._present_endpoint, endpoint_body(self._fleet))

    def _set_state(self, _: Step) -> None:
        self.endpoint = self._account.set_state(self._present_endpoint, self._fleet.endpoint.state)

    def _create_group(self, step: Step) -> None:
        self.groups[step.name] = self._account.create_group(self._present_endpoint, self._group_body(step.name))

    def _change_group(self, step: Step) -> None:
        self.groups[step.name] = self._account.update_group(self.groups[step.name], self._group_body(step.name))

    def _delete_group(self, step: Step) -> None:
        self._account.delete_group(self._unmatched_groups[int(step.id or 0)])

    def _update_workers(self, step: Step) -> None:
        self._account.update_workers(self.groups[step.name])

    def _group_body(self, name: str) -> dict[str, Any]:
        return group_body(self._fleet, self._fleet.groups[name], self._present_template.hash)

    @property
    def _present_endpoint(self) -> EndpointRow:
        """The endpoint after the steps so far. Raises DeployError when there is none."""
        if self.endpoint is None:
            raise DeployError("the account has no endpoint, and the plan does not create one")
        return self.endpoint

    @property
    def _present_template(self) -> TemplateRow:
        """The template after the steps so far. Raises DeployError when there is none."""
        if self.template is None:
            raise DeployError("the account has no template, and the plan does not create one")
        return self.template
