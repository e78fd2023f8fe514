"""Files of the editor, spoiled in a few places."""

from __future__ import annotations

from random import Random
from typing import Any

import orjson

JUNK: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 1, 2, 4, -10, -20, 1.5, 1e308, 2**63, "", "x", "-10", "0", "__proto__"),
    *([], {}, [None], [[]], {"a": 1}, [1, 2, 3], [0, 0, 0, 0, 0, "X"], "Reroute", "PrimitiveNode", "{a|{b"),
)
LOOKS = frozenset({"pos", "size", "flags", "color", "bgcolor", "order", "bounding", "groups"})
"""What only the eye sees: spoiled less often."""


def mutant(saved: bytes, rng: Random) -> Any:
    """A copy with one to eight places replaced, removed, doubled or exchanged."""
    workflow = orjson.loads(saved)
    for _ in range(rng.choice((1, 1, 2, 3, 8))):
        places = _places(workflow)
        for _ in range(5):
            holder, key = rng.choice(places)
            if key not in LOOKS:
                break
        _spoil(holder, key, rng, places)
    return workflow


def _spoil(holder: Any, key: Any, rng: Random, places: list[tuple[Any, Any]]) -> None:
    other, other_key = rng.choice(places)
    match rng.randrange(6):
        case 0:
            holder[key] = rng.choice(JUNK)
        case 1:
            del holder[key]
        case 2:
            holder[key] = orjson.loads(orjson.dumps(other[other_key]))
        case 3:
            copies = [orjson.dumps(one) for one in (holder[key], other[other_key])]
            holder[key], other[other_key] = orjson.loads(copies[1]), orjson.loads(copies[0])
        case 4 if isinstance(holder, list):
            holder.insert(key, orjson.loads(orjson.dumps(holder[key])))
        case _ if isinstance(holder[key], int):
            holder[key] = rng.choice((holder[key] + 1, -holder[key], str(holder[key]), float(holder[key])))


def _places(value: Any) -> list[tuple[Any, Any]]:
    found: list[tuple[Any, Any]] = []
    waiting = [value]
    while waiting:
        inside = waiting.pop()
        keys: Any = list(inside) if isinstance(inside, dict) else range(len(inside)) if isinstance(inside, list) else ()
        found += [(inside, key) for key in keys]
        waiting += [inside[key] for key in keys]
    return found
