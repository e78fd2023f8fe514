"""Normal forms of JSON values, without what differs from run to run: times, paths, tracebacks and orders of sets."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import orjson

from tests.conformance.comparison.names import ReplayNames
from worker.workflow.json_value import Json, JsonObject

TIMES = frozenset({"timestamp", "create_time", "execution_start_time", "execution_end_time", "t"})
UNORDERED = frozenset({"executed", "nodes", "dependent_outputs", "current_outputs", "errors"})
"""Keys of lists that ComfyUI makes from sets, so that their order is random."""
COUNTERS = frozenset({"number", "priority"})
MACHINE_PATH = re.compile(r"(?<![\w.:/])/(?:[\w.\-]+/)*[\w.\-]+")
INTERRUPTED = frozenset({"prompt_id", "node_id", "node_type", "executed", "timestamp"})
"""The keys of `execution_interrupted`. The node in it depends on time."""


def expected(recorded: Json, names: ReplayNames) -> Json:
    """Return a recorded value with the names and numbers of the replay, in normal form."""
    return normal(_shifted(names.replayed_json(recorded), names))


def normal(value: Json, key: str = "") -> Json:
    """Return a value without times, paths, tracebacks and random orders."""
    if isinstance(value, dict):
        return {name: normal(child, name) for name, child in _simplified(value).items()}
    if isinstance(value, list):
        if key == "traceback":
            return "<traceback>"
        if _is_queue_item(value):
            value = [*value[:4], _sorted(value[4])]
        return _sorted([normal(child) for child in value]) if key in UNORDERED else [normal(child) for child in value]
    if isinstance(value, str) and key in {"exception_message", "details", "message"}:
        return MACHINE_PATH.sub("<path>", value)
    return "<time>" if key in TIMES and isinstance(value, int | float | str) else value


@dataclass(frozen=True, slots=True)
class Mismatch:
    """One difference between two values. `kind` is `missing`, `added`, `type`, `length` or `value`."""

    place: str
    kind: str
    recorded: Json = None
    replayed: Json = None


def mismatches(recorded: Json, replayed: Json, place: str = "$") -> Iterator[Mismatch]:
    """Yield every difference between two normal values."""
    if isinstance(recorded, dict) and isinstance(replayed, dict):
        yield from _in_objects(recorded, replayed, place)
    elif isinstance(recorded, list) and isinstance(replayed, list):
        if len(recorded) != len(replayed):
            yield Mismatch(place, "length", recorded, replayed)
        else:
            for index, (old, new) in enumerate(zip(recorded, replayed, strict=True)):
                yield from mismatches(old, new, f"{place}[{index}]")
    elif type(recorded) is not type(replayed):
        yield Mismatch(place, "type", recorded, replayed)
    elif recorded != replayed:
        yield Mismatch(place, "value", recorded, replayed)


def _in_objects(recorded: JsonObject, replayed: JsonObject, place: str) -> Iterator[Mismatch]:
    for key in sorted(recorded.keys() | replayed.keys()):
        here = f"{place}.{key}"
        if key not in replayed:
            yield Mismatch(here, "missing", recorded=recorded[key])
        elif key not in recorded:
            yield Mismatch(here, "added", replayed=replayed[key])
        else:
            yield from mismatches(recorded[key], replayed[key], here)


def _simplified(value: JsonObject) -> JsonObject:
    """Return an object without what is random: where a prompt was interrupted, and the values of current inputs."""
    if value.keys() == INTERRUPTED:
        return {"prompt_id": value["prompt_id"]}
    inputs = value.get("current_inputs")
    if isinstance(inputs, dict):
        names: list[Json] = [*sorted(inputs)]
        # The values are whole tensors and prompts as text.
        return {**value, "current_inputs": names}
    return value


def _shifted(value: Json, names: ReplayNames, key: str = "") -> Json:
    """Return a value with the prompt numbers of the replay."""
    if isinstance(value, dict):
        return {name: _shifted(child, names, name) for name, child in value.items()}
    if isinstance(value, list):
        shifted = [_shifted(child, names) for child in value]
        return [names.number(value[0]), *shifted[1:]] if _is_queue_item(value) else shifted
    return names.number(value) if key in COUNTERS else value


def _is_queue_item(value: list[Any]) -> bool:
    """Return whether a list is [number, prompt id, prompt, extra data, outputs to execute]."""
    return len(value) == 5 and isinstance(value[1], str) and isinstance(value[4], list) and isinstance(value[2], dict)


def _sorted(values: Json) -> Json:
    if not isinstance(values, list):
        return values
    return sorted(values, key=lambda value: orjson.dumps(value, option=orjson.OPT_SORT_KEYS))
