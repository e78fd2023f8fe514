"""Reading `vast.toml`: the result is a Fleet, or one error with all problems of the file."""

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
from worker.fleet.definition.simulation_table import SimulationTable
from worker.load.gpu_classes import UNKNOWN, gpu_class
from worker.workflow.nearest import did_you_mean

FORBIDDEN = frozenset({"VAST_API_KEY"})
UNSENDABLE = frozenset(" \t\r\n'\"\\")
"""Characters that a variable's value cannot have: Vast splits a container's options at blanks and removes quotes."""


def read_fleet(text: str, image: str | None = None) -> Fleet:
    """Return the fleet that the text of a file describes. An `image` replaces the image in the file.

    Raises FleetError with every problem of the file.
    """
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise FleetError([FleetProblem("", "TOML", str(error))]) from error
    if image is not None and isinstance(raw.get("template"), dict):
        raw["template"]["image"] = image
    if raw.get("id") == "":
        del raw["id"]  # an empty id is reported as a missing one
    problems = list(_secret_problems(raw, ()))
    try:
        fleet = Fleet.model_validate(raw)
    except ValidationError as error:
        # Not `from error`: it quotes the values.
        problems += [_problem_of(details) for details in error.errors(include_input=False)]
        raise FleetError(problems) from None
    problems += _contradictions(fleet)
    if problems:
        raise FleetError(problems)
    return fleet


def _secret_problems(value: object, path: tuple[str, ...]) -> Iterator[FleetProblem]:
    """Yield a problem for each text in a value of the file that looks like a secret. No problem repeats the secret.

    `path` has the keys that lead to the value.
    """
    if isinstance(value, Mapping):
        for name, item in value.items():
            yield from _secret_problems(item, (*path, str(name)))
    elif isinstance(value, list):
        for item in value:
            yield from _secret_problems(item, path)
    elif isinstance(value, str) and value and path != ("template", "image"):
        has_secret_name = path[:2] == ("template", "env") and is_secret_name(path[-1])
        if has_secret_name or is_secret_value(value):
            reason = "a variable of this name holds a secret" if has_secret_name else "this looks like a key or token"
            cure = "name the variable in `environment` and keep the value out of the file"
            yield FleetProblem(".".join(path[:-1]), path[-1], f"{reason}; {cure}")


def _problem_of(error: Mapping[str, Any]) -> FleetProblem:
    """Return one of pydantic's errors as a problem of the file: its table, its key and a message."""
    # Pydantic adds `[key]` when the name of an entry is invalid.
    path = tuple(str(part) for part in error["loc"] if part != "[key]")
    if path == ("id",) and error["type"] == "missing":
        return FleetProblem("", "id", missing_id())
    table, name = path[:-1], path[-1]
    # The innermost table of the file has the key. An index becomes part of the key: `ports[0]`.
    while table and table_at(table) is None:
        name = f"{table[-1]}[{name}]" if name.isdigit() else table[-1]
        table = table[:-1]
    table_type = table_at(table)
    fields = table_type.model_fields if table_type else {}
    if error["type"] == "extra_forbidden":
        return FleetProblem(".".join(table), name, f"unknown key. {_known_keys(name, fields)}")
    about = fields[name].description if name in fields else None
    message = "missing" if error["type"] == "missing" else _uncapitalized(error)
    inner_keys = path[len(table) + 1 :]
    if name in fields and inner_keys and not inner_keys[-1].isdigit():
        name = ".".join((name, *inner_keys))
    return FleetProblem(".".join(table), name, f"{message}; {about}" if about else message)


def _known_keys(name: str, fields: Mapping[str, object]) -> str:
    """Return a suggestion for an unknown key, or the list of known keys."""
    return did_you_mean(name, fields) or f"Known: {', '.join(fields)}."


def _uncapitalized(error: Mapping[str, Any]) -> str:
    """Return the message of one of pydantic's errors with a small first letter."""
    message = str(error["msg"])
    return f"{message[:1].lower()}{message[1:]}"


def _contradictions(fleet: Fleet) -> Iterator[FleetProblem]:
    """Yield the problems of keys that are valid alone but not together with other keys."""
    yield from _template_problems(fleet.template)
    yield from _variable_problems(fleet)
    yield from _simulation_problems(fleet.simulation)
    for name, group in fleet.groups.items():
        if not group.gpus and group.min_vram_gb is None:
            yield FleetProblem(f"groups.{name}", "gpus", "no GPUs are chosen; set `gpus` or `min_vram_gb`")
        if group.min_disk_gb is not None and group.min_disk_gb < fleet.template.disk_gb:
            required = f"the template's disk_gb = {fleet.template.disk_gb:g}"
            yield FleetProblem(f"groups.{name}", "min_disk_gb", f"is less than {required}, which each worker needs")


def _template_problems(template: TemplateSpec) -> Iterator[FleetProblem]:
    """Yield the problems of the table `[template]`."""
    try:
        read_image(template.image)
    except ImageError as error:
        yield FleetProblem("template", "image", str(error))
    if template.onstart and template.mode == "args":
        yield FleetProblem("template", "onstart", 'is not run in mode `args`; write `mode = "ssh"` or remove it')
    if template.args and template.mode == "ssh":
        yield FleetProblem("template", "args", "is not used in mode `ssh`, which has Vast's entry point; use `onstart`")


def _simulation_problems(table: SimulationTable) -> Iterator[FleetProblem]:
    """Yield the problems of the table `[simulation]`."""
    if table.gpu and table.speed is None and gpu_class(table.gpu) == UNKNOWN:
        yield FleetProblem("simulation", "gpu", f"{table.gpu!r} is no known GPU; write its `speed` as well")


def _variable_problems(fleet: Fleet) -> Iterator[FleetProblem]:
    """Yield the problems of the variables of the template and the account."""
    for name, value in fleet.template.env.items():
        if UNSENDABLE & set(value):
            cure = "Vast splits values at blanks and drops quotes; use the account's `environment` for it"
            yield FleetProblem("template.env", name, f"has a blank, a quote or a backslash. {cure}")
        if name in fleet.environment:
            yield FleetProblem("template.env", name, "is also in `environment`; keep one of the two")
    if MARK in fleet.template.env:
        yield FleetProblem("template.env", MARK, "is set by comfy-worker from the file's `id`; remove it")
    if MARK in fleet.environment:
        yield FleetProblem("", "environment", f"{MARK} marks one fleet, but every container would get it; remove it")
    for name in FORBIDDEN.intersection(fleet.environment):
        reason = "gives access to the whole account, and every container would get it; remove it"
        yield FleetProblem("", "environment", f"{name} {reason}")
