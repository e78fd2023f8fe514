"""Which things of an account are a fleet's: those whose template has the fleet's mark and the file's name.

The rest of the account is never changed. Where a thing has the file's name without the mark, or the mark without the
name, it may be this fleet's or not; a person has to decide that, so there is a sentence with the ways out.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from worker.errors import AmbiguousName, NotThisFleet
from worker.fleet.definition.fleet import MARK, Fleet
from worker.fleet.plan.facts import endpoint_facts
from worker.fleet.plan.versions import mark_of, versions_of
from worker.fleet.plan.wanted import endpoint_body
from worker.fleet.vast.rows import Actual, EndpointRow, GroupRow, TemplateRow

LONGEST = 64


@dataclass(frozen=True, slots=True)
class Ownership:
    """`templates` have mark and name, the one in use last. `groups` are this fleet's, all in `endpoints`.

    `versions` are the hashes that the fleet's workers may have. `guests` are groups of others in the fleet's endpoint,
    `borrowers` groups of other endpoints that use the fleet's template. `conflicts` say why nothing can be changed,
    `twins` are other endpoints of the same name, and `notes` say what is left alone.
    """

    templates: tuple[TemplateRow, ...]
    endpoints: tuple[EndpointRow, ...]
    groups: tuple[GroupRow, ...]
    versions: frozenset[str]
    guests: tuple[GroupRow, ...]
    borrowers: tuple[GroupRow, ...]
    conflicts: tuple[str, ...] = ()
    twins: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def template(self) -> TemplateRow | None:
        return self.templates[-1] if self.templates else None

    def require(self) -> EndpointRow | None:
        """Return the fleet's endpoint, or None where it is still to be made. Raises NotThisFleet and AmbiguousName."""
        if len(self.endpoints) > 1:
            names, numbers = label(self.endpoints[0].name), ", ".join(str(one.id) for one in self.endpoints)
            raise AmbiguousName(
                f"there are {len(self.endpoints)} endpoints named {names} ({numbers}): delete all but one"
            )
        if self.conflicts:
            raise NotThisFleet(*self.conflicts)
        return self.endpoints[0] if self.endpoints else None


def ownership(fleet: Fleet, actual: Actual) -> Ownership:
    """Decide for each thing of the account. Names that Vast doesn't keep apart are told apart by their ids."""
    marked = [one for one in actual.templates if mark_of(one.body) == fleet.id]
    own = [one for one in marked if one.name == fleet.template.name]
    versions = frozenset(one for template in own for one in versions_of(template))
    # A version from before an adoption may be another template of today, which other endpoints use by right.
    others = {one.hash for one in actual.templates} - {one.hash for one in own}
    named = [one for one in actual.endpoints if one.name == fleet.endpoint.name]
    endpoints = [one for one in named if any(group.template_hash in versions for group in groups_of(actual, one))]
    if own and not endpoints:
        endpoints = [one for one in named if _half_made(fleet, actual, one)]
    ids = {one.id for one in endpoints}
    inside = [group for group in actual.groups if group.endpoint_id in ids]
    ours = tuple(group for group in inside if group.template_hash in versions)
    guests = tuple(group for group in inside if group not in ours)
    borrowers = tuple(
        one for one in actual.groups if one.endpoint_id not in ids and one.template_hash in versions - others
    )
    used = {group.template_hash for group in ours}
    own.sort(key=lambda one: (one.hash in used, one.id))
    found = Ownership(tuple(own), tuple(endpoints), ours, versions, guests, borrowers)
    return _explained(found, fleet, actual)


def groups_of(actual: Actual, endpoint: EndpointRow) -> tuple[GroupRow, ...]:
    return tuple(group for group in actual.groups if group.endpoint_id == endpoint.id)


def label(name: str) -> str:
    """Return a name for a message: on one line, without control characters, not too long."""
    text = name if name.isprintable() else json.dumps(name)
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 3]}..."


def titled(kind: str, row: EndpointRow | TemplateRow) -> str:
    return f"{kind} {label(row.name)} ({row.id})"


def _half_made(fleet: Fleet, actual: Actual, endpoint: EndpointRow) -> bool:
    """An endpoint without groups carries no mark. An apply or destroy that was cut off leaves one that is exactly what
    the file says, so taking it changes nothing in it."""
    same = endpoint_facts(endpoint.body) == endpoint_facts(endpoint_body(fleet))
    return same and not groups_of(actual, endpoint)


def _explained(found: Ownership, fleet: Fleet, actual: Actual) -> Ownership:
    ids = {one.id for one in found.endpoints}
    strangers = [one for one in actual.endpoints if one.name == fleet.endpoint.name and one.id not in ids]
    if found.endpoints:
        twins = tuple(
            f"{titled('endpoint', one)} is not this fleet's and has the name of its endpoint: Vast finds endpoints"
            " by name, so clients and the smoke job may get either. Rename or delete one of the two"
            for one in strangers
        )
        return _with(found, (), twins, tuple(_notes(found, fleet, actual)))
    conflicts = [
        *(_foreign(actual, one) for one in strangers),
        *_renamed_endpoints(found, fleet, actual),
        *_renamed_templates(found, fleet, actual),
    ]
    notes = tuple(_notes(found, fleet, actual)) if not conflicts else ()
    return _with(found, tuple(conflicts), (), notes)


def _with(found: Ownership, conflicts: Sequence[str], twins: Sequence[str], notes: Sequence[str]) -> Ownership:
    return Ownership(
        *(found.templates, found.endpoints, found.groups, found.versions, found.guests, found.borrowers),
        conflicts=tuple(conflicts),
        twins=tuple(twins),
        notes=tuple(notes),
    )


def _foreign(actual: Actual, endpoint: EndpointRow) -> str:
    """Why an endpoint of the file's name is not this fleet's, and what to do."""
    head = f"{titled('endpoint', endpoint)} is not this fleet's: {_uses(actual, groups_of(actual, endpoint))}."
    hashes = {group.template_hash for group in groups_of(actual, endpoint)}
    marks = {mark_of(template.body) for template in actual.templates if template.hash in hashes} - {""}
    if marks:
        return (
            f"{head} Give this fleet's endpoint another name. If that fleet is this one, write its id into the file:"
            f' id = "{label(min(marks))}"'
        )
    return (
        f"{head} If an older release made it, or if its template was changed in Vast's console,"
        f" `comfy-worker deploy adopt {label(endpoint.name)}` takes it over."
        " If it is somebody else's, give this fleet's endpoint another name."
    )


def _uses(actual: Actual, groups: Sequence[GroupRow]) -> str:
    """`groups 3, 4 use template comfy (1) of the fleet abcd`, and so on for each template."""
    templates = {one.hash: one for one in actual.templates}
    numbers: dict[str, list[str]] = {}
    for group in groups:
        numbers.setdefault(group.template_hash, []).append(str(group.id))
    parts = [
        f"{'group' if len(ids) == 1 else 'groups'} {', '.join(ids)} {'uses' if len(ids) == 1 else 'use'}"
        f" {_template(templates.get(hash_))}"
        for hash_, ids in numbers.items()
    ]
    return "; ".join(parts) or "it has no groups, so nothing in it has a mark"


def _template(template: TemplateRow | None) -> str:
    if template is None:
        return "a template that this account doesn't list"
    mark = mark_of(template.body)
    return f"{titled('template', template)} {f'of the fleet {label(mark)}' if mark else f'without {MARK}'}"


def _renamed_endpoints(found: Ownership, fleet: Fleet, actual: Actual) -> Iterator[str]:
    """Groups of other endpoints use the fleet's template, and the fleet has no endpoint."""
    ids = {group.endpoint_id for group in found.borrowers}
    for endpoint in actual.endpoints:
        if endpoint.id in ids:
            yield (
                f"{titled('endpoint', endpoint)} uses this fleet's template, and the file calls the endpoint"
                f" {fleet.endpoint.name}. {_ways_out(endpoint.name)}"
            )


def _renamed_templates(found: Ownership, fleet: Fleet, actual: Actual) -> Iterator[str]:
    """The mark under another name, and no template under the file's."""
    if found.templates:
        return
    for template in actual.templates:
        if mark_of(template.body) != fleet.id:
            continue
        hashes = versions_of(template)
        ids = {group.endpoint_id for group in actual.groups if group.template_hash in hashes}
        users = [one.name for one in actual.endpoints if one.id in ids]
        wanted = fleet.template.name
        head = f"{titled('template', template)} has this fleet's id, and the file calls the template {wanted}."
        if users:
            yield f"{head} {_ways_out(users[0])}"
        else:
            yield f"{head} No group uses it: delete it at Vast, or write its name into the file"


def _ways_out(name: str) -> str:
    return (
        f"If it was renamed, `comfy-worker deploy adopt {label(name)}` gives it the file's names."
        " If another file has the same id, `comfy-worker deploy init --new` gives this one its own"
    )


def _notes(found: Ownership, fleet: Fleet, actual: Actual) -> Iterator[str]:
    """What is left alone though it is near."""
    endpoints = {one.id: one for one in actual.endpoints}
    for group in found.guests:
        yield f"group {group.id} in the fleet's endpoint uses another template: it is not this fleet's"
    for group in found.borrowers:
        where = titled("endpoint", endpoints[group.endpoint_id]) if group.endpoint_id in endpoints else "no endpoint"
        yield (
            f"group {group.id} of {where} uses this fleet's template: it is left alone. If another file with the same"
            " id has made it, `comfy-worker deploy init --new` gives that file its own"
        )
    for template in actual.templates:
        mark = mark_of(template.body)
        if mark == fleet.id and template.name != fleet.template.name:
            yield f"{titled('template', template)} has this fleet's id under another name: it is left alone"
        elif not mark and template.name == fleet.template.name:
            yield f"{titled('template', template)} has no {MARK}: it is left alone"
