"""Adoption: an endpoint that has no mark of a fleet, or other names than the fleet file, becomes the file's fleet.

An adoption writes only the template and the names. The groups and workers stay as they are until the next apply. The
hashes that the groups use are written into the template's description, which identifies the groups from then on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from worker.errors import AmbiguousName, DeployError, MissingValues, NotThisFleet, StalePlan
from worker.fleet.definition.fleet import MARK, Fleet
from worker.fleet.plan.desired_state import endpoint_body, template_body
from worker.fleet.plan.facts import endpoint_facts
from worker.fleet.plan.ownership import describe_row, display_name, groups_of, ownership
from worker.fleet.plan.versions import description, mark_of, versions_of, with_mark
from worker.fleet.vast.account import Account
from worker.fleet.vast.rows import AccountState, EndpointRow, GroupRow, Instance, TemplateRow

UNNAMED = "ghcr.io/unnamed:0"
"""Stands for the image where neither the file nor the command line names one."""


@dataclass(frozen=True, slots=True)
class Adoption:
    """An endpoint that is taken over, with its groups and instances, and the bodies to write.

    `template` is the template that gets the mark. None means that a new template is created from `body`. `changes` has
    one sentence for each change. It is empty when the endpoint already belongs to the fleet.
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
        """Price of all instances together, in dollars per hour."""
        return sum(instance.dph for instance in self.instances)

    @property
    def identity(self) -> tuple[object, ...]:
        """A value that is equal for two adoptions with the same rows and the same changes."""
        groups = tuple((group.id, group.template_hash) for group in self.groups)
        template = (self.template.id, self.template.hash) if self.template else None
        return (self.endpoint.id, groups, template, self.changes)


def plan_adoption(account: Account, fleet: Fleet, actual: AccountState, name: str) -> Adoption:
    """Return what an adoption of the endpoint `name` (its name at Vast, or its id) would change.

    The base template is the one whose content is used. It is changed in place unless other endpoints use it. Raises
    DeployError when there is no such endpoint, and NotThisFleet when it belongs to another fleet.
    """
    endpoint = _endpoint(actual, name)
    groups = groups_of(actual, endpoint)
    _check_one_endpoint(fleet, actual, endpoint)
    _check_other_marks(fleet, actual, endpoint, groups)
    base = _base_template(fleet, actual, groups)
    replaced_template = base if base is not None and _is_exclusive(fleet, actual, endpoint, base) else None
    body = None if _is_marked(fleet, base, groups) else _marked_body(fleet, base, groups)
    changes = [] if body is None else [_template_change(fleet, base, replaced_template)]
    desired = endpoint_body(fleet) if not groups else {**endpoint.body, "endpoint_name": fleet.endpoint.name}
    is_renamed = endpoint.name != fleet.endpoint.name
    if is_renamed:
        changes.append(
            f"{describe_row('endpoint', endpoint)} is renamed to {fleet.endpoint.name}: clients find it by its name"
        )
    is_changed = endpoint_facts(desired) != endpoint_facts(endpoint.body)
    if is_changed:
        changes.append(f"{describe_row('endpoint', endpoint)} has no groups and gets the file's parameters")
    return Adoption(
        *(endpoint, groups, _instances(account, endpoint), replaced_template, body),
        endpoint_body=desired if is_renamed or is_changed else None,
        changes=tuple(changes),
    )


def check_unchanged(listed: Adoption, now: Adoption) -> None:
    """Raise StalePlan when the adoption `now` differs from the one that was listed for the user."""
    if listed.identity != now.identity:
        raise StalePlan("the account has changed since this list was made: run the command again")


def adopt(
    account: Account, fleet: Fleet, adoption: Adoption, environ: Mapping[str, str], report: Callable[[str], None]
) -> None:
    """Write the template and then the endpoint, with at most two calls, and report each change.

    If the command is interrupted between the two calls, the next run completes the adoption. `environ` has the login of
    the template's registry. Raises MissingValues when it does not.
    """
    if adoption.body is not None:
        body = {**adoption.body, **_login(fleet, environ)}
        template = account.save_template(body, adoption.template)
        report(f"{describe_row('template', template)} has {MARK}={fleet.id}")
    if adoption.endpoint_body is not None:
        endpoint = account.update_endpoint(adoption.endpoint, adoption.endpoint_body)
        report(f"{describe_row('endpoint', endpoint)} matches the file")


def check_login(fleet: Fleet, environ: Mapping[str, str]) -> None:
    """Raise MissingValues when the environment does not have the login of the template's registry.

    Vast does not return a registry's login, so every write of a template has to send it again.
    """
    _login(fleet, environ)


def _login(fleet: Fleet, environ: Mapping[str, str]) -> dict[str, str]:
    """Return the fields of a template with the registry's login, none without a private registry.

    Raises MissingValues when `environ` does not have the user or the password.
    """
    registry = fleet.template.registry
    if registry is None:
        return {}
    missing = [name for name in (registry.user_env, registry.password_env) if not environ.get(name)]
    if missing:
        raise MissingValues(
            f"set {', '.join(missing)} in the environment of this command: the template needs the login"
        )
    return {"docker_login_user": environ[registry.user_env], "docker_login_pass": environ[registry.password_env]}


def _endpoint(actual: AccountState, name: str) -> EndpointRow:
    """Return the endpoint with this name, or else the one whose id is `name`.

    Raises DeployError when there is none, and AmbiguousName when several have the name.
    """
    matches = [endpoint for endpoint in actual.endpoints if endpoint.name == name]
    matches = matches or [endpoint for endpoint in actual.endpoints if str(endpoint.id) == name]
    if not matches:
        names = ", ".join(display_name(endpoint.name) for endpoint in actual.endpoints) or "none"
        raise DeployError(f"the account has no endpoint {display_name(name)}. Its endpoints: {names}")
    if len(matches) > 1:
        numbers = " or ".join(str(endpoint.id) for endpoint in matches)
        raise AmbiguousName(
            f"there are {len(matches)} endpoints named {display_name(name)}: give the id of one, {numbers}"
        )
    return matches[0]


def _check_one_endpoint(fleet: Fleet, actual: AccountState, endpoint: EndpointRow) -> None:
    """Raise NotThisFleet when the fleet already has another endpoint, or another endpoint has the file's name."""
    marked = [template for template in actual.templates if mark_of(template.body) == fleet.id]
    unmarked_hashes = {template.hash for template in actual.templates} - {template.hash for template in marked}
    versions = {version for template in marked for version in versions_of(template)} - unmarked_hashes
    user_ids = {group.endpoint_id for group in actual.groups if group.template_hash in versions}
    own_ids = {row.id for row in ownership(fleet, actual).endpoints}
    for other in actual.endpoints:
        if other.id == endpoint.id:
            continue
        if other.id in own_ids:
            cure = "the other endpoint needs a file and an id of its own"
            raise NotThisFleet(
                f"this fleet has {describe_row('endpoint', other)}, and a fleet has one endpoint: {cure}"
            )
        if other.id in user_ids and endpoint.id not in user_ids:
            raise NotThisFleet(
                f"{describe_row('endpoint', other)} uses a template with this file's id."
                " `comfy-worker deploy init --new` gives this file its own id"
            )
        if other.name == fleet.endpoint.name:
            raise NotThisFleet(
                f"the file calls the endpoint {other.name}, but {describe_row('endpoint', other)} has that name"
            )


def _check_other_marks(fleet: Fleet, actual: AccountState, endpoint: EndpointRow, groups: tuple[GroupRow, ...]) -> None:
    """Raise NotThisFleet when a template of the endpoint has another fleet's mark, which is never removed.

    `groups` are the groups of the endpoint.
    """
    hashes = {group.template_hash for group in groups}
    for template in actual.templates:
        mark = mark_of(template.body)
        if mark not in ("", fleet.id) and hashes.intersection(versions_of(template)):
            if template.hash not in hashes and _are_unmarked(actual, fleet, hashes):
                continue  # it lists a hash of the groups only as an earlier version, and no longer owns it
            raise NotThisFleet(
                f"{describe_row('endpoint', endpoint)} belongs to the fleet {display_name(mark)},"
                f" whose mark is in {describe_row('template', template)}."
                f' If this is the fleet of your vast.toml, write this line into the file: id = "{display_name(mark)}"'
            )


def _are_unmarked(actual: AccountState, fleet: Fleet, hashes: set[str]) -> bool:
    """Return whether each hash is that of a current template without another fleet's mark."""
    unmarked = {template.hash for template in actual.templates if mark_of(template.body) in ("", fleet.id)}
    return hashes <= unmarked


def _base_template(fleet: Fleet, actual: AccountState, groups: tuple[GroupRow, ...]) -> TemplateRow | None:
    """Return the template that gets the fleet's mark, or None when no template of the account is suitable.

    Templates with the fleet's mark come first, then unmarked ones that the groups use, then an unmarked one with the
    name in the file.
    """
    hashes = {group.template_hash for group in groups}
    marked = [template for template in actual.templates if mark_of(template.body) == fleet.id]
    unmarked = [template for template in actual.templates if not mark_of(template.body)]
    for candidates in (
        [template for template in marked if template.name == fleet.template.name],
        marked,
        [template for template in unmarked if template.hash in hashes],
        [template for template in unmarked if template.name == fleet.template.name],
    ):
        if candidates:
            return max(candidates, key=lambda template: (template.hash in hashes, template.id))
    return None


def _is_marked(fleet: Fleet, base: TemplateRow | None, groups: tuple[GroupRow, ...]) -> bool:
    """Return whether the template already has the mark, the file's name and the groups' hashes.

    This is the case when an adoption was interrupted after it had written the template.
    """
    if base is None or mark_of(base.body) != fleet.id or base.name != fleet.template.name:
        return False
    return {group.template_hash for group in groups} <= {*versions_of(base)}


def _is_exclusive(fleet: Fleet, actual: AccountState, endpoint: EndpointRow, base: TemplateRow) -> bool:
    """Return whether the template may be changed: it has the fleet's mark, or no other endpoint uses it."""
    used_elsewhere = {group.template_hash for group in actual.groups if group.endpoint_id != endpoint.id}
    return mark_of(base.body) == fleet.id or base.hash not in used_elsewhere


def _marked_body(fleet: Fleet, base: TemplateRow | None, groups: tuple[GroupRow, ...]) -> dict[str, Any]:
    """Return the body of the template with the fleet's mark, its name in the file, and the hashes of the groups.

    The other content is that of `base`, or that of the file without a `base`. Raises DeployError when the file has no
    image, either.
    """
    used = list(dict.fromkeys(group.template_hash for group in groups if group.template_hash))
    earlier = [*used, *(versions_of(base) if base else ())]
    previous = used[0] if used else ""
    if base is None:
        if fleet.template.image == UNNAMED:
            raise DeployError("this account does not list the groups' template: name the image with --image")
        return template_body(fleet, previous, earlier)
    env = with_mark(str(base.body.get("env") or ""), fleet.id)
    return {**base.body, "name": fleet.template.name, "env": env, "desc": description(previous, earlier)}


def _template_change(fleet: Fleet, base: TemplateRow | None, replaced: TemplateRow | None) -> str:
    """Return the sentence about the template for `Adoption.changes`.

    `base` is the template whose content is used. `replaced` is `base` if it is changed in place, and None if a new
    template is created.
    """
    mark = f"{MARK}={fleet.id}"
    if base is not None and base is replaced:
        new_name = f" and is renamed to {fleet.template.name}" if base.name != fleet.template.name else ""
        return f"{describe_row('template', base)} gets {mark}{new_name}"
    reason = f", because other endpoints use {describe_row('template', base)}" if base else ""
    return f"a template {fleet.template.name} with {mark} is created{reason}"


def _instances(account: Account, endpoint: EndpointRow) -> tuple[Instance, ...]:
    """Return the instances of the endpoint's workers, with any template. A worker has the id of its instance."""
    ids = {row.id for row in account.workers(endpoint)}
    return tuple(instance for instance in account.instances() if instance.id in ids) if ids else ()
