"""Files of the editor, spoiled in a few places."""

from __future__ import annotations

from copy import deepcopy
from random import Random
from typing import Any

import orjson

JUNK: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 1, 2, 4, -10, -20, 1.5, 1e308, 2**63, "", "x", "-10", "0", "__proto__"),
    *([], {}, [None], [[]], {"a": 1}, [1, 2, 3], [0, 0, 0, 0, 0, "X"], "Reroute", "PrimitiveNode", "{a|{b"),
)
LOOKS = frozenset({"pos", "size", "flags", "color", "bgcolor", "order", "bounding", "groups"})
"""What only the eye sees: spoiled less often."""


Place = tuple[Any, Any]


def spoiled_copy(saved: bytes, rng: Random) -> Any:
    """A copy with one to eight places replaced, removed, doubled or exchanged."""
    workflow = orjson.loads(saved)
    for _ in range(rng.choice((1, 1, 2, 3, 8))):
        _spoil(_place(workflow, rng), _place(workflow, rng), rng)
    return workflow


def _spoil(place: Place, other: Place, rng: Random) -> None:
    holder, key = place
    match rng.randrange(6):
        case 0:
            holder[key] = deepcopy(rng.choice(JUNK))  # or the next one would put it into itself, and stay spoiled
        case 1:
            del holder[key]
        case 2:
            holder[key] = _copy(other)
        case 3:
            first, second = _copy(place), _copy(other)
            other[0][other[1]] = first
            if key in holder if isinstance(holder, dict) else key < len(holder):
                holder[key] = second
        case 4 if isinstance(holder, list):
            holder.insert(key, _copy(place))
        case _ if isinstance(holder[key], int):
            holder[key] = rng.choice((holder[key] + 1, -holder[key], str(holder[key]), float(holder[key])))


def _copy(place: Place) -> Any:
    return orjson.loads(orjson.dumps(place[0][place[1]]))


def _place(value: Any, rng: Random) -> Place:
    """A container and the key of one value in it, reached by a walk that mostly goes on."""
    while True:
        keys = list(value) if isinstance(value, dict) else range(len(value))
        key = rng.choice(
            [one for one in keys if one not in LOOKS] or ["new"] if isinstance(value, dict) else keys or [0]
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
