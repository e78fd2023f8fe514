"""Decides which rows of an account belong to a fleet: those whose template has the fleet's mark and the file's name.

The rest of the account is never changed. A row that has the file's name without the mark, or the mark without the name,
may or may not belong to the fleet. The user has to decide, so a sentence names the row and the possible commands.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from worker.errors import AmbiguousName, NotThisFleet
from worker.fleet.definition.fleet import MARK, Fleet
from worker.fleet.plan.desired_state import endpoint_body
from worker.fleet.plan.facts import endpoint_facts
from worker.fleet.plan.versions import mark_of, versions_of
from worker.fleet.vast.rows import AccountState, EndpointRow, GroupRow, TemplateRow

MAX_NAME_CHARS = 64


@dataclass(frozen=True, slots=True)
class Ownership:
    """The rows that belong to the fleet, and those that are related to it.

    `templates` have mark and name, the one in use last. `groups` are the fleet's, all of them in `endpoints`.

    `versions` are the hashes that the fleet's workers may have. `foreign_groups` are in the fleet's endpoint but belong
    to others. `outside_groups` are in other endpoints but use the fleet's template.

    `conflicts`, `duplicate_endpoints` and `notes` are sentences for the user: the reasons why nothing can be changed,
    the other endpoints with the same name, and the things that are left alone.
    """

    templates: tuple[TemplateRow, ...]
    endpoints: tuple[EndpointRow, ...]
    groups: tuple[GroupRow, ...]
    versions: frozenset[str]
    foreign_groups: tuple[GroupRow, ...]
    outside_groups: tuple[GroupRow, ...]
    conflicts: tuple[str, ...] = ()
    duplicate_endpoints: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def template(self) -> TemplateRow | None:
        """The fleet's template that is in use, None when the fleet has no template."""
        return self.templates[-1] if self.templates else None

    def require_endpoint(self) -> EndpointRow | None:
        """Return the fleet's endpoint, or None when it does not exist yet.

        Raises AmbiguousName when there are several, and NotThisFleet when there are conflicts.
        """
        if len(self.endpoints) > 1:
            names, numbers = display_name(self.endpoints[0].name), ", ".join(str(row.id) for row in self.endpoints)
            raise AmbiguousName(
                f"there are {len(self.endpoints)} endpoints named {names} ({numbers}): delete all but one"
            )
        if self.conflicts:
            raise NotThisFleet(*self.conflicts)
        return self.endpoints[0] if self.endpoints else None


def ownership(fleet: Fleet, actual: AccountState) -> Ownership:
    """Return which rows of the account belong to the fleet, with the sentences for the user.

    A template is the fleet's if it has the fleet's mark and the file's name. An endpoint is the fleet's if it has the
    file's name and a group that uses such a template. Rows with equal names are distinguished by their ids.
    """
    marked = [template for template in actual.templates if mark_of(template.body) == fleet.id]
    templates = [template for template in marked if template.name == fleet.template.name]
    versions = frozenset(version for template in templates for version in versions_of(template))
    # A version from before an adoption may also be a current template that other endpoints use.
    other_hashes = {template.hash for template in actual.templates} - {template.hash for template in templates}
    named = [row for row in actual.endpoints if row.name == fleet.endpoint.name]
    endpoints = [row for row in named if any(group.template_hash in versions for group in groups_of(actual, row))]
    if templates and not endpoints:
        endpoints = [row for row in named if _is_unfinished(fleet, actual, row)]
    endpoint_ids = {row.id for row in endpoints}
    inside = [group for group in actual.groups if group.endpoint_id in endpoint_ids]
    outside = [group for group in actual.groups if group.endpoint_id not in endpoint_ids]
    own_groups = tuple(group for group in inside if group.template_hash in versions)
    foreign_groups = tuple(group for group in inside if group not in own_groups)
    outside_groups = tuple(group for group in outside if group.template_hash in versions - other_hashes)
    used_hashes = {group.template_hash for group in own_groups}
    templates.sort(key=lambda template: (template.hash in used_hashes, template.id))  # the one in use last
    rows = Ownership(tuple(templates), tuple(endpoints), own_groups, versions, foreign_groups, outside_groups)
    return _with_sentences(rows, fleet, actual)


def groups_of(actual: AccountState, endpoint: EndpointRow) -> tuple[GroupRow, ...]:
    """Return the groups of an endpoint."""
    return tuple(group for group in actual.groups if group.endpoint_id == endpoint.id)


def display_name(name: str) -> str:
    """Return a name for a message: on one line, without control characters, at most 64 characters long."""
    text = name if name.isprintable() else json.dumps(name)
    return text if len(text) <= MAX_NAME_CHARS else f"{text[: MAX_NAME_CHARS - 3]}..."


def describe_row(kind: str, row: EndpointRow | TemplateRow) -> str:
    """Return a row for a message, such as `endpoint comfy (7)`."""
    return f"{kind} {display_name(row.name)} ({row.id})"


def _is_unfinished(fleet: Fleet, actual: AccountState, endpoint: EndpointRow) -> bool:
    """Return whether an interrupted apply or destroy may have left this endpoint.

    An endpoint without groups carries no mark. It counts as the fleet's when it has exactly the parameters of the file,
    because in that case an apply changes nothing in it.
    """
    matches_file = endpoint_facts(endpoint.body) == endpoint_facts(endpoint_body(fleet))
    return matches_file and not groups_of(actual, endpoint)


def _with_sentences(own: Ownership, fleet: Fleet, actual: AccountState) -> Ownership:
    """Return the ownership with its sentences for the user.

    Without an endpoint of its own, the fleet cannot be deployed while other endpoints have its name, or while its
    endpoint or template seems to have been renamed.
    """
    ids = {row.id for row in own.endpoints}
    same_name = [row for row in actual.endpoints if row.name == fleet.endpoint.name and row.id not in ids]
    if own.endpoints:
        duplicate_endpoints = tuple(
            f"{describe_row('endpoint', row)} is not this fleet's, but has the name of its endpoint. Vast finds"
            " endpoints by name, so clients and the smoke job may get either. Rename or delete one of the two"
            for row in same_name
        )
        return _with(own, (), duplicate_endpoints, tuple(_notes(own, fleet, actual)))
    conflicts = [
        *(_foreign_endpoint(actual, row) for row in same_name),
        *_renamed_endpoints(own, fleet, actual),
        *_renamed_templates(own, fleet, actual),
    ]
    notes = tuple(_notes(own, fleet, actual)) if not conflicts else ()
    return _with(own, tuple(conflicts), (), notes)


def _with(
    own: Ownership, conflicts: Sequence[str], duplicate_endpoints: Sequence[str], notes: Sequence[str]
) -> Ownership:
    """Return the same rows with these sentences."""
    return Ownership(
        *(own.templates, own.endpoints, own.groups, own.versions, own.foreign_groups, own.outside_groups),
        conflicts=tuple(conflicts),
        duplicate_endpoints=tuple(duplicate_endpoints),
        notes=tuple(notes),
    )


def _foreign_endpoint(actual: AccountState, endpoint: EndpointRow) -> str:
    """Return a message that says why an endpoint with the file's name is not this fleet's, and what to do."""
    uses = _template_uses(actual, groups_of(actual, endpoint))
    reason = f"{describe_row('endpoint', endpoint)} is not this fleet's: {uses}."
    hashes = {group.template_hash for group in groups_of(actual, endpoint)}
    marks = {mark_of(template.body) for template in actual.templates if template.hash in hashes} - {""}
    if marks:
        return (
            f"{reason} Give this fleet's endpoint another name. If the endpoint belongs to the fleet of your vast.toml,"
            f' write this line into the file: id = "{display_name(min(marks))}"'
        )
    return (
        f"{reason} If an older release created it, or if its template was changed in Vast's console,"
        f" `comfy-worker deploy adopt {display_name(endpoint.name)}` takes it over."
        " If it belongs to others, give this fleet's endpoint another name."
    )


def _template_uses(actual: AccountState, groups: Sequence[GroupRow]) -> str:
    """Return the templates that the groups use, as part of a message.

    An example is `groups 3, 4 use template comfy (1) of the fleet abcd`. Uses of several templates are joined by `; `.
    """
    templates = {template.hash: template for template in actual.templates}
    ids_by_hash: dict[str, list[str]] = {}
    for group in groups:
        ids_by_hash.setdefault(group.template_hash, []).append(str(group.id))
    parts = []
    for template_hash, ids in ids_by_hash.items():
        subject = f"group {ids[0]} uses" if len(ids) == 1 else f"groups {', '.join(ids)} use"
        parts.append(f"{subject} {_describe_template(templates.get(template_hash))}")
    return "; ".join(parts) or "it has no groups, and therefore no mark"


def _describe_template(template: TemplateRow | None) -> str:
    """Return a template and its mark for a message. None is a template that the account does not list."""
    if template is None:
        return "a template that this account does not list"
    mark = mark_of(template.body)
    owner = f"of the fleet {display_name(mark)}" if mark else f"without {MARK}"
    return f"{describe_row('template', template)} {owner}"


def _renamed_endpoints(own: Ownership, fleet: Fleet, actual: AccountState) -> Iterator[str]:
    """Yield a sentence for each endpoint of another name that uses the fleet's template.

    It may be the fleet's endpoint under an earlier name.
    """
    ids = {group.endpoint_id for group in own.outside_groups}
    for endpoint in actual.endpoints:
        if endpoint.id in ids:
            yield (
                f"{describe_row('endpoint', endpoint)} uses this fleet's template, but the file calls the endpoint"
                f" {fleet.endpoint.name}. {_possible_commands(endpoint.name)}"
            )


def _renamed_templates(own: Ownership, fleet: Fleet, actual: AccountState) -> Iterator[str]:
    """Yield a sentence for each template with the fleet's mark and another name than the file's.

    Nothing is yielded if the fleet already has a template with the file's name.
    """
    if own.templates:
        return
    file_name = fleet.template.name
    for template in actual.templates:
        if mark_of(template.body) != fleet.id:
            continue
        hashes = versions_of(template)
        ids = {group.endpoint_id for group in actual.groups if group.template_hash in hashes}
        users = [endpoint.name for endpoint in actual.endpoints if endpoint.id in ids]
        reason = (
            f"{describe_row('template', template)} has this fleet's id, but the file calls the template {file_name}."
        )
        if users:
            yield f"{reason} {_possible_commands(users[0])}"
        else:
            yield f"{reason} No group uses it: delete it at Vast, or write its name into the file"


def _possible_commands(name: str) -> str:
    """Return the commands that resolve a renamed endpoint or a copied id."""
    return (
        f"If it was renamed, `comfy-worker deploy adopt {display_name(name)}` gives it the file's names."
        " If another file has the same id, `comfy-worker deploy init --new` gives this file its own id"
    )


def _notes(own: Ownership, fleet: Fleet, actual: AccountState) -> Iterator[str]:
    """Yield a sentence for each row that is related to the fleet but left alone."""
    endpoints = {endpoint.id: endpoint for endpoint in actual.endpoints}
    for group in own.foreign_groups:
        yield f"group {group.id} in the fleet's endpoint uses another template and is not this fleet's"
    for group in own.outside_groups:
        endpoint = endpoints.get(group.endpoint_id)
        place = describe_row("endpoint", endpoint) if endpoint else "no endpoint"
        yield (
            f"group {group.id} of {place} uses this fleet's template and is left alone. If another file with the same"
            " id created it, `comfy-worker deploy init --new` gives that file its own id"
        )
    for template in actual.templates:
        mark = mark_of(template.body)
        if mark == fleet.id and template.name != fleet.template.name:
            yield f"{describe_row('template', template)} has this fleet's id but another name, and is left alone"
        elif not mark and template.name == fleet.template.name:
            yield f"{describe_row('template', template)} has no {MARK} and is left alone"
