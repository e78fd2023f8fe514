"""A fleet that carries no mark, or other names than the file's, made the file's own.

Only the template is written, and names: groups and workers stay as they are until the next apply. The template's
description gets the hashes that the groups use, and by these they are known from then on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from worker.errors import AmbiguousName, DeployError, MissingValues, NotThisFleet, StalePlan
from worker.fleet.definition.fleet import MARK, Fleet
from worker.fleet.plan.facts import endpoint_facts
from worker.fleet.plan.ownership import groups_of, label, ownership, titled
from worker.fleet.plan.versions import description, mark_of, versions_of, with_mark
from worker.fleet.plan.wanted import endpoint_body, template_body
from worker.fleet.vast.account import Account
from worker.fleet.vast.rows import Actual, EndpointRow, GroupRow, Instance, TemplateRow

UNNAMED = "ghcr.io/unnamed:0"
"""What the file's image is read as where none is given."""


@dataclass(frozen=True, slots=True)
class Adoption:
    """What is taken over. `template` is the one that gets the mark; None: a new one is made, with `body`.

    `changes` has a sentence for each thing that is written; it is empty where the fleet has all of it already.
    """

    endpoint: EndpointRow
    groups: tuple[GroupRow, ...]
    instances: tuple[Instance, ...]
    template: TemplateRow | None
    body: Mapping[str, Any] | None
    endpoint_body: Mapping[str, Any] | None
    changes: tuple[str, ...]

    @property
    def per_hour(self) -> float:
        """Dollars for all instances."""
        return sum(one.dph for one in self.instances)

    @property
    def identity(self) -> tuple[object, ...]:
        """Equal for two adoptions that take over the same things in the same way."""
        groups = tuple((one.id, one.template_hash) for one in self.groups)
        template = (self.template.id, self.template.hash) if self.template else None
        return (self.endpoint.id, groups, template, self.changes)


def find(account: Account, fleet: Fleet, actual: Actual, name: str) -> Adoption:
    """`name` is the endpoint's at Vast, or its id. Raises DeployError where there is none, or where it is a fleet's."""
    endpoint = _endpoint(actual, name)
    groups = groups_of(actual, endpoint)
    _check_free(fleet, actual, endpoint)
    _check_unmarked(fleet, actual, endpoint, groups)
    base = _base(fleet, actual, groups)
    exclusive = base if base is not None and _exclusive(fleet, actual, endpoint, base) else None
    body = None if _remembers(fleet, base, groups) else _marked_body(fleet, base, groups)
    changes = [] if body is None else [_template_change(fleet, base, exclusive)]
    wanted = endpoint_body(fleet) if not groups else {**endpoint.body, "endpoint_name": fleet.endpoint.name}
    if renamed := endpoint.name != fleet.endpoint.name:
        changes.append(
            f"{titled('endpoint', endpoint)} is renamed to {fleet.endpoint.name}: clients ask for it by name"
        )
    if moved := endpoint_facts(wanted) != endpoint_facts(endpoint.body):
        changes.append(f"{titled('endpoint', endpoint)} has no groups and gets the file's parameters")
    return Adoption(
        *(endpoint, groups, _instances(account, endpoint), exclusive, body),
        endpoint_body=wanted if renamed or moved else None,
        changes=tuple(changes),
    )


def check_same(listed: Adoption, now: Adoption) -> None:
    """Raises StalePlan where something else would be taken over than was listed."""
    if listed.identity != now.identity:
        raise StalePlan("the account has changed since this was listed: run the command again")


def adopt(
    account: Account, fleet: Fleet, adoption: Adoption, environ: Mapping[str, str], tell: Callable[[str], None]
) -> None:
    """Two calls at most. The template goes first: cut off after it, the next run finds the rest."""
    if adoption.body is not None:
        body = {**adoption.body, **_login(fleet, environ)}
        template = account.save_template(body, adoption.template)
        tell(f"{titled('template', template)} has {MARK}={fleet.id}")
    if adoption.endpoint_body is not None:
        endpoint = account.update_endpoint(adoption.endpoint, adoption.endpoint_body)
        tell(f"{titled('endpoint', endpoint)} is as the file says")


def check_login(fleet: Fleet, environ: Mapping[str, str]) -> None:
    """Raises MissingValues: Vast doesn't give a registry's login back, so a template that is written needs it again."""
    _login(fleet, environ)


def _login(fleet: Fleet, environ: Mapping[str, str]) -> dict[str, str]:
    registry = fleet.template.registry
    if registry is None:
        return {}
    missing = [name for name in (registry.user_env, registry.password_env) if not environ.get(name)]
    if missing:
        raise MissingValues(
            f"set {', '.join(missing)} in the environment of this command: the template needs the login"
        )
    return {"docker_login_user": environ[registry.user_env], "docker_login_pass": environ[registry.password_env]}


def _endpoint(actual: Actual, name: str) -> EndpointRow:
    found = [one for one in actual.endpoints if one.name == name]
    found = found or [one for one in actual.endpoints if str(one.id) == name]
    if not found:
        names = ", ".join(label(one.name) for one in actual.endpoints) or "none"
        raise DeployError(f"the account has no endpoint {label(name)}; it has {names}")
    if len(found) > 1:
        numbers = " or ".join(str(one.id) for one in found)
        raise AmbiguousName(f"there are {len(found)} endpoints named {label(name)}: give the id of one, {numbers}")
    return found[0]


def _check_free(fleet: Fleet, actual: Actual, endpoint: EndpointRow) -> None:
    """A fleet has one endpoint, and its name is free. Raises NotThisFleet."""
    marked = [one for one in actual.templates if mark_of(one.body) == fleet.id]
    others = {one.hash for one in actual.templates} - {one.hash for one in marked}
    versions = {one for template in marked for one in versions_of(template)} - others
    users = {group.endpoint_id for group in actual.groups if group.template_hash in versions}
    own = {one.id for one in ownership(fleet, actual).endpoints}
    for one in actual.endpoints:
        if one.id == endpoint.id:
            continue
        if one.id in own:
            cure = "the other one needs a file and an id of its own"
            raise NotThisFleet(f"this fleet has {titled('endpoint', one)}, and a fleet has one endpoint: {cure}")
        if one.id in users and endpoint.id not in users:
            raise NotThisFleet(
                f"{titled('endpoint', one)} uses a template with this file's id."
                " `comfy-worker deploy init --new` gives this file an id of its own"
            )
        if one.name == fleet.endpoint.name:
            raise NotThisFleet(f"the file calls the endpoint {one.name}, and {titled('endpoint', one)} has that name")


def _check_unmarked(fleet: Fleet, actual: Actual, endpoint: EndpointRow, groups: tuple[GroupRow, ...]) -> None:
    """A mark of another fleet is never taken away."""
    hashes = {group.template_hash for group in groups}
    for template in actual.templates:
        mark = mark_of(template.body)
        if mark not in ("", fleet.id) and hashes.intersection(versions_of(template)):
            if template.hash not in hashes and _listed(actual, fleet, hashes):
                continue
            raise NotThisFleet(
                f"{titled('endpoint', endpoint)} is of the fleet {label(mark)}, by {titled('template', template)}."
                f' If that fleet is this one, write its id into the file: id = "{label(mark)}"'
            )


def _listed(actual: Actual, fleet: Fleet, hashes: set[str]) -> bool:
    """Whether all hashes are templates of today without another's mark: then another's memory of them says nothing."""
    free = {one.hash for one in actual.templates if mark_of(one.body) in ("", fleet.id)}
    return hashes <= free


def _base(fleet: Fleet, actual: Actual, groups: tuple[GroupRow, ...]) -> TemplateRow | None:
    """The template that the mark is written into: the fleet's own, the one that the groups use, the one of the name."""
    hashes = {group.template_hash for group in groups}
    marked = [one for one in actual.templates if mark_of(one.body) == fleet.id]
    free = [one for one in actual.templates if not mark_of(one.body)]
    for rows in (
        [one for one in marked if one.name == fleet.template.name],
        marked,
        [one for one in free if one.hash in hashes],
        [one for one in free if one.name == fleet.template.name],
    ):
        if rows:
            return max(rows, key=lambda one: (one.hash in hashes, one.id))
    return None


def _remembers(fleet: Fleet, base: TemplateRow | None, groups: tuple[GroupRow, ...]) -> bool:
    """Whether the template has mark, name and hashes already, after an adoption that was cut off."""
    if base is None or mark_of(base.body) != fleet.id or base.name != fleet.template.name:
        return False
    return {group.template_hash for group in groups} <= {*versions_of(base)}


def _exclusive(fleet: Fleet, actual: Actual, endpoint: EndpointRow, base: TemplateRow) -> bool:
    """Whether the template may be changed: it has the fleet's mark, or no group of another endpoint uses it."""
    others = {group.template_hash for group in actual.groups if group.endpoint_id != endpoint.id}
    return mark_of(base.body) == fleet.id or base.hash not in others


def _marked_body(fleet: Fleet, base: TemplateRow | None, groups: tuple[GroupRow, ...]) -> dict[str, Any]:
    """The template's own content with mark and name; the file's where there is no template to go by."""
    used = list(dict.fromkeys(group.template_hash for group in groups if group.template_hash))
    earlier = [*used, *(versions_of(base) if base else ())]
    former = used[0] if used else ""
    if base is None:
        if fleet.template.image == UNNAMED:
            raise DeployError("the groups' template is not listed by this account: give the image with --image")
        return template_body(fleet, former, earlier)
    env = with_mark(str(base.body.get("env") or ""), fleet.id)
    return {**base.body, "name": fleet.template.name, "env": env, "desc": description(former, earlier)}


def _template_change(fleet: Fleet, base: TemplateRow | None, exclusive: TemplateRow | None) -> str:
    mark = f"{MARK}={fleet.id}"
    if base is not None and base is exclusive:
        renamed = f" and is renamed to {fleet.template.name}" if base.name != fleet.template.name else ""
        return f"{titled('template', base)} gets {mark}{renamed}"
    why = f", because other endpoints use {titled('template', base)}" if base else ""
    return f"a template {fleet.template.name} with {mark} is made{why}"


def _instances(account: Account, endpoint: EndpointRow) -> tuple[Instance, ...]:
    """The workers of the endpoint, whatever they were started with."""
    ids = {row.id for row in account.workers(endpoint)}
    return tuple(one for one in account.instances() if one.id in ids) if ids else ()
