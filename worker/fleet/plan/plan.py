"""Computes the steps from the present state to the desired state, without I/O. Vast itself has no dry run (T42)."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from worker.errors import DeployError, NotThisFleet
from worker.fleet.definition.fleet import Fleet
from worker.fleet.definition.secret import masked
from worker.fleet.plan.desired_state import endpoint_body, group_body, template_body
from worker.fleet.plan.facts import GROUP_KEYS, Facts, endpoint_facts, group_facts, template_facts
from worker.fleet.plan.matching import GroupMatches, match_groups
from worker.fleet.plan.ownership import Ownership, ownership
from worker.fleet.plan.snapshot import fingerprint
from worker.fleet.plan.versions import versions_of
from worker.fleet.vast.rows import Actual, EndpointRow, GroupRow, TemplateRow
from worker.fleet.vast.search import parse

NEW = "(the new version)"


class Action(StrEnum):
    """What a step does, in the order in which the steps run."""

    SET_VARIABLE = "set variable"
    CREATE_TEMPLATE = "create template"
    CHANGE_TEMPLATE = "change template"
    CREATE_ENDPOINT = "create endpoint"
    CHANGE_ENDPOINT = "change endpoint"
    SET_STATE = "set state"
    CREATE_GROUP = "create group"
    CHANGE_GROUP = "change group"
    DELETE_GROUP = "delete group"
    UPDATE_WORKERS = "update workers"


@dataclass(frozen=True, slots=True)
class Change:
    """One fact before and after the step, or None where there is none. Secrets are `***`."""

    key: str
    old: Any
    new: Any


@dataclass(frozen=True, slots=True)
class Step:
    """One step. `name` is the name in the file, and `id` is Vast's id of an existing group."""

    action: Action
    name: str
    changes: tuple[Change, ...] = ()
    id: int | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """The steps, and the other facts that a user needs.

    `fingerprint` identifies the account's state. `rotated` are the variables that are written again. An `offline` plan
    was made against a stored snapshot and cannot be applied. `blocked` has the reasons why nothing may be changed; then
    there are no steps. `left_alone` has sentences about related things that belong to others.
    """

    image: str
    fingerprint: str
    steps: tuple[Step, ...]
    most_per_hour: float
    rotated: tuple[str, ...] = ()
    offline: bool = False
    blocked: tuple[str, ...] = ()
    left_alone: tuple[str, ...] = ()

    @property
    def empty(self) -> bool:
        """Whether there are no steps."""
        return not self.steps

    def check(self) -> None:
        """Raise NotThisFleet when the plan is blocked."""
        if self.blocked:
            raise NotThisFleet(*self.blocked)

    def has(self, *actions: Action) -> bool:
        """Return whether a step has one of these actions."""
        return any(step.action in actions for step in self.steps)


@dataclass(frozen=True, slots=True)
class FleetResources:
    """The rows of the account that belong to the fleet, and the template hashes that its workers may have."""

    template: TemplateRow | None
    endpoint: EndpointRow | None
    matches: GroupMatches
    versions: frozenset[str] = frozenset()

    @property
    def groups(self) -> tuple[GroupRow, ...]:
        """All groups of the fleet, also those that match no group of the file."""
        return (*self.matches.by_name.values(), *self.matches.extra)

    @property
    def current_hash(self) -> str:
        """Template hash that the workers have now, which a new version replaces; empty when there is none."""
        hashes = [group.template_hash for group in self.groups if group.template_hash]
        return hashes[0] if hashes else self.template.hash if self.template else ""

    @property
    def earlier(self) -> tuple[str, ...]:
        """All template hashes that workers may have, those in use first."""
        used = [group.template_hash for group in self.groups]
        return tuple(dict.fromkeys((*used, *(versions_of(self.template) if self.template else ()))))


def fleet_resources(fleet: Fleet, actual: Actual) -> FleetResources:
    """Return the fleet's rows. Raises NotThisFleet when their owner is unclear, AmbiguousName for several endpoints."""
    return _resources(fleet, ownership(fleet, actual))


def match_to_file(fleet: Fleet, groups: Sequence[GroupRow]) -> GroupMatches:
    """Match these groups with the groups of the file."""
    return match_groups(_group_facts(fleet), groups)


def _resources(fleet: Fleet, own: Ownership) -> FleetResources:
    endpoint = own.require_endpoint()
    return FleetResources(own.template, endpoint, match_to_file(fleet, own.groups), own.versions)


def make_plan(fleet: Fleet, actual: Actual, rotate: Collection[str] = (), *, offline: bool = False) -> Plan:
    """Return the steps that make the account match the file.

    `rotate` are names of variables to write again. Raises DeployError for a name that is not in the file.
    """
    registry = fleet.template.registry
    logins = {registry.user_env, registry.password_env} if registry else set()
    if unknown := sorted(set(rotate) - set(fleet.environment) - logins):
        raise DeployError(
            f"--rotate {unknown[0]}: the file has no such variable. Its variables: {_names(fleet, logins)}"
        )
    own = ownership(fleet, actual)
    steps = () if own.conflicts or own.duplicate_endpoints else _steps(fleet, actual, _resources(fleet, own), rotate)
    return Plan(
        image=fleet.template.image,
        fingerprint=fingerprint(fleet, actual),
        steps=steps,
        most_per_hour=fleet.most_per_hour,
        rotated=tuple(sorted(rotate)),
        offline=offline,
        blocked=own.conflicts + own.duplicate_endpoints,
        left_alone=own.notes,
    )


def _steps(fleet: Fleet, actual: Actual, resources: FleetResources, rotate: Collection[str]) -> tuple[Step, ...]:
    """Return all steps, in the order in which they run."""
    registry = fleet.template.registry
    logins = {registry.user_env, registry.password_env} if registry else set()
    steps = (
        *_variables(fleet, actual, rotate),
        *_template(fleet, resources, login=bool(logins.intersection(rotate))),
        *_endpoint(fleet, resources),
    )
    new_version = any(step.action in (Action.CREATE_TEMPLATE, Action.CHANGE_TEMPLATE) for step in steps)
    groups = tuple(_groups(fleet, resources, "" if new_version or not resources.template else resources.template.hash))
    return (*steps, *groups, *_updates(groups))


def differences(old: Facts, new: Facts) -> tuple[Change, ...]:
    """Return the facts that differ, in the order of `new`; facts that only `old` has come last."""
    keys = [*new, *(key for key in old if key not in new)]
    return tuple(
        Change(key, _shown(key, old.get(key)), _shown(key, new.get(key)))
        for key in keys
        if old.get(key) != new.get(key)
    )


def _shown(key: str, value: object) -> object:
    """Return a value for the plan, with secrets masked."""
    return masked(key.removeprefix("env."), value) if isinstance(value, str) else value


def _names(fleet: Fleet, logins: Collection[str]) -> str:
    return ", ".join((*fleet.environment, *sorted(logins))) or "none"


def _variables(fleet: Fleet, actual: Actual, rotate: Collection[str]) -> Iterator[Step]:
    """Yield the steps for account variables, which are compared by name: Vast does not return their values (T46)."""
    for name in fleet.environment:
        exists = name in actual.environment
        if not exists or name in rotate:
            old = "(hidden)" if exists else None
            yield Step(Action.SET_VARIABLE, name, (Change("value", old, "(from the environment)"),))


def _template(fleet: Fleet, resources: FleetResources, *, login: bool) -> Iterator[Step]:
    """Yield the step that creates or changes the template."""
    new = template_facts(template_body(fleet))
    if resources.template is None:
        yield Step(Action.CREATE_TEMPLATE, fleet.template.name, differences({}, new))
        return
    changes = differences(template_facts(resources.template.body), new)
    if login:
        changes += (Change("login", "(hidden)", "(from the environment)"),)
    if changes:
        yield Step(Action.CHANGE_TEMPLATE, fleet.template.name, changes)


def _endpoint(fleet: Fleet, resources: FleetResources) -> Iterator[Step]:
    """Yield the steps that create or change the endpoint and set its state."""
    new, name = endpoint_facts(endpoint_body(fleet)), fleet.endpoint.name
    if resources.endpoint is None:
        yield Step(Action.CREATE_ENDPOINT, name, differences({}, new))
    elif changes := differences(endpoint_facts(resources.endpoint.body), new):
        yield Step(Action.CHANGE_ENDPOINT, name, changes)
    state = resources.endpoint.state if resources.endpoint else "active"
    if state != fleet.endpoint.state:
        yield Step(Action.SET_STATE, name, (Change("state", state, fleet.endpoint.state),))


def _group_facts(fleet: Fleet) -> dict[str, Facts]:
    """Return the desired facts of each group of the file."""
    bodies = {name: group_body(fleet, group, "") for name, group in fleet.groups.items()}
    return {name: group_facts(body, parse(str(body["search_params"]))) for name, body in bodies.items()}


def _groups(fleet: Fleet, resources: FleetResources, template_hash: str) -> Iterator[Step]:
    """Yield the steps for groups. `template_hash` is empty when the plan makes a new version of the template."""
    for name, new in _group_facts(fleet).items():
        group = resources.matches.by_name.get(name)
        target = template_hash or NEW
        if group is None:
            yield Step(Action.CREATE_GROUP, name, (Change("template", None, target), *differences({}, new)))
            continue
        old = group_facts(group.body, group.search)
        # Vast does not return all fields of a group, and a missing one cannot be compared.
        comparable = {key: value for key, value in new.items() if key in old or key not in GROUP_KEYS}
        changes = differences(old, comparable)
        if group.template_hash != target:
            changes = (Change("template", group.template_hash, target), *changes)
        if changes:
            yield Step(Action.CHANGE_GROUP, name, changes, group.id)
    for group in resources.matches.extra:
        yield Step(Action.DELETE_GROUP, str(group.id), differences(group_facts(group.body, group.search), {}), group.id)


def _updates(groups: Collection[Step]) -> Iterator[Step]:
    """Yield a step that updates the workers of each group whose template changes."""
    for step in groups:
        if step.action is Action.CHANGE_GROUP and any(change.key == "template" for change in step.changes):
            yield Step(Action.UPDATE_WORKERS, step.name, id=step.id)
