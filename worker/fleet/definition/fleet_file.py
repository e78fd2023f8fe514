"""`vast.toml` read: a Fleet, or all that is wrong with the file at once."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import ValidationError

from worker.errors import FleetError, FleetProblem
from worker.fleet.definition.fleet import MARK, Fleet, TemplateSpec, table_at
from worker.fleet.definition.fleet_id import missing_id
from worker.fleet.definition.image import ImageError, read_image
from worker.fleet.definition.secret import is_secret_name, is_secret_value
from worker.workflow.nearest import did_you_mean

FORBIDDEN = frozenset({"VAST_API_KEY"})
UNSENDABLE = frozenset(" \t\r\n'\"\\")
"""Vast splits the options of a container at blanks and takes quotes off: such values don't arrive as they are."""


def read_fleet(text: str, image: str | None = None) -> Fleet:
    """`image`, where given, takes the place of the file's. Raises FleetError."""
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise FleetError([FleetProblem("", "TOML", str(error))]) from error
    if image is not None and isinstance(raw.get("template"), dict):
        raw["template"]["image"] = image
    if raw.get("id") == "":
        del raw["id"]
    problems = list(_secrets(raw, ()))
    try:
        fleet = Fleet.model_validate(raw)
    except ValidationError as error:
        # Not `from error`: it quotes the values.
        problems += [_told(one) for one in error.errors(include_input=False)]
        raise FleetError(problems) from None
    problems += _contradictions(fleet)
    if problems:
        raise FleetError(problems)
    return fleet


def _secrets(value: object, place: tuple[str, ...]) -> Iterator[FleetProblem]:
    """Literal secrets, wherever they are; what they are is not repeated."""
    if isinstance(value, Mapping):
        for name, one in value.items():
            yield from _secrets(one, (*place, str(name)))
    elif isinstance(value, list):
        for one in value:
            yield from _secrets(one, place)
    elif isinstance(value, str) and value and place != ("template", "image"):
        named = place[:2] == ("template", "env") and is_secret_name(place[-1])
        if named or is_secret_value(value):
            why = "a variable of this name holds a secret" if named else "this looks like a key or token"
            cure = "name the variable in `environment` and keep the value out of the file"
            yield FleetProblem(".".join(place[:-1]), place[-1], f"{why}; {cure}")


def _told(error: Mapping[str, Any]) -> FleetProblem:
    """Pydantic's finding in our words."""
    # `[key]` marks the name of an entry, and the branch of a union has no place in the file.
    place = tuple(str(part) for part in error["loc"] if part != "[key]")
    table, name = place[:-1], place[-1]
    while table and table_at(table) is None:
        table, name = table[:-1], table[-1] if not name.isdigit() else f"{table[-1]}[{name}]"
    owner = table_at(table)
    fields = owner.model_fields if owner else {}
    if place == ("id",) and error["type"] == "missing":
        return FleetProblem("", "id", missing_id())
    if error["type"] == "extra_forbidden":
        return FleetProblem(".".join(table), name, f"unknown key. {_known(name, fields)}")
    about = fields[name].description if name in fields else None
    message = "missing" if error["type"] == "missing" else _sentence(error)
    deeper = place[len(table) + 1 :]
    where = ".".join((name, *deeper)) if deeper and name in fields and not deeper[-1].isdigit() else name
    return FleetProblem(".".join(table), where, f"{message}; {about}" if about else message)


def _known(name: str, fields: Mapping[str, object]) -> str:
    return did_you_mean(name, fields) or f"Known: {', '.join(fields)}."


def _sentence(error: Mapping[str, Any]) -> str:
    message = str(error["msg"])
    return f"{message[:1].lower()}{message[1:]}"


def _contradictions(fleet: Fleet) -> Iterator[FleetProblem]:
    """Where each key is right and the whole is not."""
    yield from _of_template(fleet.template)
    yield from _of_environment(fleet)
    for name, group in fleet.groups.items():
        if not group.gpus and group.min_vram_gb is None:
            yield FleetProblem(f"groups.{name}", "gpus", "say which GPUs: `gpus`, or `min_vram_gb`")
        if group.min_disk_gb is not None and group.min_disk_gb < fleet.template.disk_gb:
            least = f"{fleet.template.disk_gb:g}"
            yield FleetProblem(f"groups.{name}", "min_disk_gb", f"is less than the container takes; at least {least}")


def _of_template(template: TemplateSpec) -> Iterator[FleetProblem]:
    try:
        read_image(template.image)
    except ImageError as error:
        yield FleetProblem("template", "image", str(error))
    if template.onstart and template.mode == "args":
        yield FleetProblem("template", "onstart", 'is not run in mode `args`; write `mode = "ssh"` or take it out')
    if template.args and template.mode == "ssh":
        yield FleetProblem("template", "args", "the entry point is Vast's own in mode `ssh`; use `onstart`")


def _of_environment(fleet: Fleet) -> Iterator[FleetProblem]:
    for name, value in fleet.template.env.items():
        if UNSENDABLE & set(value):
            cure = "Vast cuts values at blanks and drops quotes; use the account's `environment` for it"
            yield FleetProblem("template.env", name, f"has a blank, a quote or a backslash. {cure}")
        if name in fleet.environment:
            yield FleetProblem("template.env", name, "is in `environment` too; keep one of the two")
    if MARK in fleet.template.env:
        yield FleetProblem("template.env", MARK, "is set by comfy-worker from the file's `id`; take it out")
    if MARK in fleet.environment:
        yield FleetProblem("", "environment", f"{MARK} marks one fleet, and every container would get it; take it out")
    for name in FORBIDDEN.intersection(fleet.environment):
        why = "opens the whole account, and every container would get it; take it out"
        yield FleetProblem("", "environment", f"{name} {why}")
