"""Corrupted copies of workflow files."""

from __future__ import annotations

from copy import deepcopy
from random import Random
from typing import Any

import orjson

JUNK: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 1, 2, 4, -10, -20, 1.5, 1e308, 2**63, "", "x", "-10", "0", "__proto__"),
    *([], {}, [None], [[]], {"a": 1}, [1, 2, 3], [0, 0, 0, 0, 0, "X"], "Reroute", "PrimitiveNode", "{a|{b"),
)
VISUAL_KEYS = frozenset({"pos", "size", "flags", "color", "bgcolor", "order", "bounding", "groups"})
"""Keys that only affect the display. They are corrupted less often."""


Location = tuple[Any, Any]
"""A container, and the key or index of one value in it."""


def spoiled_copy(saved: bytes, rng: Random) -> Any:
    """Return a copy in which one to eight values are replaced, removed, duplicated or exchanged."""
    workflow = orjson.loads(saved)
    for _ in range(rng.choice((1, 1, 2, 3, 8))):
        _corrupt(_random_location(workflow, rng), _random_location(workflow, rng), rng)
    return workflow


def _corrupt(location: Location, other: Location, rng: Random) -> None:
    """Change the value at one location, possibly with a copy of the value at another."""
    holder, key = location
    match rng.randrange(6):
        case 0:
            holder[key] = deepcopy(rng.choice(JUNK))  # because later changes would modify JUNK itself
        case 1:
            del holder[key]
        case 2:
            holder[key] = _copy(other)
        case 3:
            first, second = _copy(location), _copy(other)
            other[0][other[1]] = first
            if key in holder if isinstance(holder, dict) else key < len(holder):
                holder[key] = second
        case 4 if isinstance(holder, list):
            holder.insert(key, _copy(location))
        case _ if isinstance(holder[key], int):
            holder[key] = rng.choice((holder[key] + 1, -holder[key], str(holder[key]), float(holder[key])))


def _copy(location: Location) -> Any:
    """Return a copy of the value at a location."""
    return orjson.loads(orjson.dumps(location[0][location[1]]))


def _random_location(value: Any, rng: Random) -> Location:
    """Return a random location, found by a random walk from the top that usually continues into containers."""
    while True:
        keys = list(value) if isinstance(value, dict) else range(len(value))
        key = rng.choice(
            [name for name in keys if name not in VISUAL_KEYS] or ["new"] if isinstance(value, dict) else keys or [0]
        )
        inside = value.get(key) if isinstance(value, dict) else value[key] if value else None
        if isinstance(inside, dict | list) and inside and rng.random() < 0.9:
            value = inside
            continue
        if isinstance(value, dict):
            value.setdefault(key, None)
        elif not value:
            value.append(None)
        return value, key
