"""Computes the steps from the present state to the desired state, without I/O. Vast itself has no dry run (T42)."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from worker.errors import DeployError, FleetError, FleetProblem, NotThisFleet
from worker.fleet.definition.fleet import Fleet
from worker.fleet.definition.secret import masked
from worker.fleet.plan.desired_state import endpoint_body, group_body, template_body
from worker.fleet.plan.facts import GROUP_KEYS, Facts, endpoint_facts, group_facts, template_facts
from worker.fleet.plan.matching import GroupMatches, match_groups
from worker.fleet.plan.ownership import Ownership, ownership
from worker.fleet.plan.snapshot import fingerprint
from worker.fleet.plan.versions import versions_of
from worker.fleet.vast.rows import AccountState, EndpointRow, GroupRow, TemplateRow
from worker.fleet.vast.search import parse
from worker.platforms.vast.benchmark.choice import CHOICES, CURE, MISSING

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
    was made against a stored snapshot and cannot be applied. `blocked` has the reasons why nothing may be changed. In
    that case, there are no steps. `left_alone` has sentences about related rows that belong to others.
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
        """Template hash that the workers have now, which a new version replaces.

        It is the hash of the first group, or else of the template. It is empty when there is none.
        """
        for group in self.groups:
            if group.template_hash:
                return group.template_hash
        return self.template.hash if self.template else ""

    @property
    def all_hashes(self) -> tuple[str, ...]:
        """All template hashes that workers may have, each once. The hashes of the groups come first."""
        used = [group.template_hash for group in self.groups]
        versions = versions_of(self.template) if self.template else ()
        return tuple(dict.fromkeys((*used, *versions)))


def fleet_resources(fleet: Fleet, actual: AccountState) -> FleetResources:
    """Return the rows of the account that belong to the fleet.

    Raises NotThisFleet when it is unclear to which fleet they belong, and AmbiguousName when it has several endpoints.
    """
    return _resources(fleet, ownership(fleet, actual))


def match_to_file(fleet: Fleet, groups: Sequence[GroupRow]) -> GroupMatches:
    """Match these groups of the account with the groups of the file, by their facts."""
    return match_groups(_group_facts(fleet), groups)


def _resources(fleet: Fleet, own: Ownership) -> FleetResources:
    """Return the rows in `own` with the groups matched to the file. Raises NotThisFleet and AmbiguousName."""
    endpoint = own.require_endpoint()
    return FleetResources(own.template, endpoint, match_to_file(fleet, own.groups), own.versions)


def make_plan(fleet: Fleet, actual: AccountState, rotate: Collection[str] = (), *, offline: bool = False) -> Plan:
    """Return the steps that make the account match the file.

    `rotate` are names of variables to write again. Without a clear owner of the rows, the plan has no steps and says
    why in `blocked`. Raises DeployError for a name in `rotate` that is not in the file, and FleetError for a fleet that
    Vast could not scale.
    """
    _check_benchmark(fleet)
    registry = fleet.template.registry
    login_names = {registry.user_env, registry.password_env} if registry else set()
    if unknown := sorted(set(rotate) - set(fleet.environment) - login_names):
        raise DeployError(
            f"--rotate {unknown[0]}: the file has no such variable. Its variables: {_names(fleet, login_names)}"
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


def _check_benchmark(fleet: Fleet) -> None:
    """Raise FleetError when no job measures the speed of the workers. An account variable may choose one."""
    if not any(fleet.template.env.get(name) or name in fleet.environment for name in CHOICES):
        raise FleetError([FleetProblem("template.env", "WORKER_BENCHMARK", f"{MISSING}; {CURE}")])


def _steps(fleet: Fleet, actual: AccountState, resources: FleetResources, rotate: Collection[str]) -> tuple[Step, ...]:
    """Return all steps, in the order in which they run."""
    registry = fleet.template.registry
    login_names = {registry.user_env, registry.password_env} if registry else set()
    steps = (
        *_variable_steps(fleet, actual, rotate),
        *_template_steps(fleet, resources, rotate_login=bool(login_names.intersection(rotate))),
        *_endpoint_steps(fleet, resources),
    )
    has_new_version = any(step.action in (Action.CREATE_TEMPLATE, Action.CHANGE_TEMPLATE) for step in steps)
    template_hash = resources.template.hash if resources.template and not has_new_version else ""
    group_steps = tuple(_group_steps(fleet, resources, template_hash))
    return (*steps, *group_steps, *_worker_updates(group_steps))


def differences(old: Facts, new: Facts) -> tuple[Change, ...]:
    """Return the facts that differ, in the order of `new`; facts that only `old` has come last."""
    keys = [*new, *(key for key in old if key not in new)]
    return tuple(
        Change(key, _shown(key, old.get(key)), _shown(key, new.get(key)))
        for key in keys
        if old.get(key) != new.get(key)
    )


def _shown(key: str, value: object) -> object:
    """Return the value of a fact as the plan shows it: `***` for a secret."""
    return masked(key.removeprefix("env."), value) if isinstance(value, str) else value


def _names(fleet: Fleet, login_names: Collection[str]) -> str:
    """Return the names of all variables whose values the file takes from the environment, for a message."""
    return ", ".join((*fleet.environment, *sorted(login_names))) or "none"


def _variable_steps(fleet: Fleet, actual: AccountState, rotate: Collection[str]) -> Iterator[Step]:
    """Yield a step for each account variable that is missing or in `rotate`.

    Variables are compared only by name, because Vast does not return their values (T46).
    """
    for name in fleet.environment:
        exists = name in actual.environment
        if not exists or name in rotate:
            old = "(hidden)" if exists else None
            yield Step(Action.SET_VARIABLE, name, (Change("value", old, "(from the environment)"),))


def _template_steps(fleet: Fleet, resources: FleetResources, *, rotate_login: bool) -> Iterator[Step]:
    """Yield the step that creates or changes the template, if any. `rotate_login` sends the registry's login again."""
    new = template_facts(template_body(fleet))
    if resources.template is None:
        yield Step(Action.CREATE_TEMPLATE, fleet.template.name, differences({}, new))
        return
    changes = differences(template_facts(resources.template.body), new)
    if rotate_login:
        changes += (Change("login", "(hidden)", "(from the environment)"),)
    if changes:
        yield Step(Action.CHANGE_TEMPLATE, fleet.template.name, changes)


def _endpoint_steps(fleet: Fleet, resources: FleetResources) -> Iterator[Step]:
    """Yield the steps that create or change the endpoint and set its state, if any. A new endpoint is active."""
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


def _group_steps(fleet: Fleet, resources: FleetResources, template_hash: str) -> Iterator[Step]:
    """Yield the steps that create, change or delete groups.

    `template_hash` is the present template's, or empty when the plan makes a new version of the template.
    """
    target = template_hash or NEW
    for name, new in _group_facts(fleet).items():
        group = resources.matches.by_name.get(name)
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


def _worker_updates(group_steps: Collection[Step]) -> Iterator[Step]:
    """Yield a step that updates the workers of each group whose template changes."""
    for step in group_steps:
        if step.action is Action.CHANGE_GROUP and any(change.key == "template" for change in step.changes):
            yield Step(Action.UPDATE_WORKERS, step.name, id=step.id)
