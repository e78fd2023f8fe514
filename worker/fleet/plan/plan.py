"""From what is wanted and what is there to the steps between them. No I/O: Vast has no dry run (T42), this is it."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from worker.errors import DeployError, NotThisFleet
from worker.fleet.definition.fleet import Fleet
from worker.fleet.definition.secret import masked
from worker.fleet.plan.facts import OF_GROUPS, Facts, endpoint_facts, group_facts, template_facts
from worker.fleet.plan.matching import Pairs, pair
from worker.fleet.plan.ownership import Ownership, ownership
from worker.fleet.plan.snapshot import fingerprint
from worker.fleet.plan.versions import versions_of
from worker.fleet.plan.wanted import endpoint_body, group_body, template_body
from worker.fleet.vast.rows import Actual, EndpointRow, GroupRow, TemplateRow
from worker.fleet.vast.search import parse

NEW = "(the new version)"


class Action(StrEnum):
    """What a step does; in the order in which steps are taken."""

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
    """One fact before and after; None where there is none. Secrets are `***`."""

    key: str
    old: Any
    new: Any


@dataclass(frozen=True, slots=True)
class Step:
    """One thing to do. `name` is the file's; `id` is Vast's number of a group that is there."""

    action: Action
    name: str
    changes: tuple[Change, ...] = ()
    id: int | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """`fingerprint` is of what was there, `offline` a plan against a stored snapshot, which can't be applied.

    `blocked` says why nothing may be changed, and then there are no steps; `left_alone` what is near and others'.
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
        return not self.steps

    def check(self) -> None:
        """Raises NotThisFleet for a plan that may not be carried out."""
        if self.blocked:
            raise NotThisFleet(*self.blocked)

    def has(self, *actions: Action) -> bool:
        return any(step.action in actions for step in self.steps)


@dataclass(frozen=True, slots=True)
class Present:
    """What of the account is this fleet's."""

    template: TemplateRow | None
    endpoint: EndpointRow | None
    pairs: Pairs
    versions: frozenset[str] = frozenset()

    @property
    def groups(self) -> tuple[GroupRow, ...]:
        return (*self.pairs.found.values(), *self.pairs.extra)

    @property
    def former(self) -> str:
        """The hash that workers have now: what a new version replaces."""
        hashes = [group.template_hash for group in self.groups if group.template_hash]
        return hashes[0] if hashes else self.template.hash if self.template else ""

    @property
    def earlier(self) -> tuple[str, ...]:
        """Every other hash that workers may have, those in use first."""
        used = [group.template_hash for group in self.groups]
        return tuple(dict.fromkeys((*used, *(versions_of(self.template) if self.template else ()))))


def present(fleet: Fleet, actual: Actual) -> Present:
    """Raises NotThisFleet and AmbiguousName."""
    return _present(fleet, ownership(fleet, actual))


def pairs_of(fleet: Fleet, groups: Sequence[GroupRow]) -> Pairs:
    """Which group of the file each of these is."""
    return pair(_group_facts(fleet), groups)


def _present(fleet: Fleet, own: Ownership) -> Present:
    endpoint = own.require()
    return Present(own.template, endpoint, pairs_of(fleet, own.groups), own.versions)


def make_plan(fleet: Fleet, actual: Actual, rotate: Collection[str] = (), *, offline: bool = False) -> Plan:
    """`rotate` are names of variables to write again. Raises DeployError for one that the file doesn't name."""
    registry = fleet.template.registry
    logins = {registry.user_env, registry.password_env} if registry else set()
    if unknown := sorted(set(rotate) - set(fleet.environment) - logins):
        raise DeployError(f"--rotate {unknown[0]}: the file names no such variable; it names {_names(fleet, logins)}")
    own = ownership(fleet, actual)
    steps = () if own.conflicts or own.twins else _steps(fleet, actual, _present(fleet, own), rotate)
    return Plan(
        image=fleet.template.image,
        fingerprint=fingerprint(fleet, actual),
        steps=steps,
        most_per_hour=fleet.most_per_hour,
        rotated=tuple(sorted(rotate)),
        offline=offline,
        blocked=own.conflicts + own.twins,
        left_alone=own.notes,
    )


def _steps(fleet: Fleet, actual: Actual, there: Present, rotate: Collection[str]) -> tuple[Step, ...]:
    registry = fleet.template.registry
    logins = {registry.user_env, registry.password_env} if registry else set()
    steps = (
        *_variables(fleet, actual, rotate),
        *_template(fleet, there, login=bool(logins.intersection(rotate))),
        *_endpoint(fleet, there),
    )
    new_version = any(step.action in (Action.CREATE_TEMPLATE, Action.CHANGE_TEMPLATE) for step in steps)
    groups = tuple(_groups(fleet, there, "" if new_version or not there.template else there.template.hash))
    return (*steps, *groups, *_updates(groups))


def differences(old: Facts, new: Facts) -> tuple[Change, ...]:
    """What isn't equal, key by key, the new ones' order first."""
    keys = [*new, *(key for key in old if key not in new)]
    return tuple(
        Change(key, _shown(key, old.get(key)), _shown(key, new.get(key)))
        for key in keys
        if old.get(key) != new.get(key)
    )


def _shown(key: str, value: object) -> object:
    return masked(key.removeprefix("env."), value) if isinstance(value, str) else value


def _names(fleet: Fleet, logins: Collection[str]) -> str:
    return ", ".join((*fleet.environment, *sorted(logins))) or "none"


def _variables(fleet: Fleet, actual: Actual, rotate: Collection[str]) -> Iterator[Step]:
    """By name: what is in them can't be read (T46)."""
    for name in fleet.environment:
        there = name in actual.environment
        if not there or name in rotate:
            yield Step(Action.SET_VARIABLE, name, (Change("value", "(kept secret)" if there else None, "(from here)"),))


def _template(fleet: Fleet, there: Present, *, login: bool) -> Iterator[Step]:
    new = template_facts(template_body(fleet))
    if there.template is None:
        yield Step(Action.CREATE_TEMPLATE, fleet.template.name, differences({}, new))
        return
    changes = differences(template_facts(there.template.body), new)
    if login:
        changes += (Change("login", "(kept secret)", "(from here)"),)
    if changes:
        yield Step(Action.CHANGE_TEMPLATE, fleet.template.name, changes)


def _endpoint(fleet: Fleet, there: Present) -> Iterator[Step]:
    new, name = endpoint_facts(endpoint_body(fleet)), fleet.endpoint.name
    if there.endpoint is None:
        yield Step(Action.CREATE_ENDPOINT, name, differences({}, new))
    elif changes := differences(endpoint_facts(there.endpoint.body), new):
        yield Step(Action.CHANGE_ENDPOINT, name, changes)
    state = there.endpoint.state if there.endpoint else "active"
    if state != fleet.endpoint.state:
        yield Step(Action.SET_STATE, name, (Change("state", state, fleet.endpoint.state),))


def _group_facts(fleet: Fleet) -> dict[str, Facts]:
    bodies = {name: group_body(fleet, group, "") for name, group in fleet.groups.items()}
    return {name: group_facts(body, parse(str(body["search_params"]))) for name, body in bodies.items()}


def _groups(fleet: Fleet, there: Present, template_hash: str) -> Iterator[Step]:
    """`template_hash` is empty where there is going to be a new version."""
    for name, new in _group_facts(fleet).items():
        group = there.pairs.found.get(name)
        target = template_hash or NEW
        if group is None:
            yield Step(Action.CREATE_GROUP, name, (Change("template", None, target), *differences({}, new)))
            continue
        old = group_facts(group.body, group.search)
        # What Vast doesn't show of a group can't be compared.
        comparable = {key: value for key, value in new.items() if key in old or key not in OF_GROUPS}
        changes = differences(old, comparable)
        if group.template_hash != target:
            changes = (Change("template", group.template_hash, target), *changes)
        if changes:
            yield Step(Action.CHANGE_GROUP, name, changes, group.id)
    for group in there.pairs.extra:
        yield Step(Action.DELETE_GROUP, str(group.id), differences(group_facts(group.body, group.search), {}), group.id)


def _updates(groups: Collection[Step]) -> Iterator[Step]:
    """Workers go over to another version only where their group does."""
    for step in groups:
        if step.action is Action.CHANGE_GROUP and any(change.key == "template" for change in step.changes):
            yield Step(Action.UPDATE_WORKERS, step.name, id=step.id)
