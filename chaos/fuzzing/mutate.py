"""Neighbours of a request: some still right, most of them wrong in one place, some not even JSON any more."""

from __future__ import annotations

import json
from collections.abc import Callable
from copy import deepcopy
from random import Random
from typing import Any

import orjson

from chaos.fuzzing.graphs import MARK
from chaos.fuzzing.limits import DIGITS, deepened, long_name, nested

PATHS = (
    *(f"../{MARK}.png", f"../../../../{MARK}.png", f"/tmp/{MARK}.png", f"..\\..\\{MARK}.png", f"%2e%2e/{MARK}"),  # noqa: S108
    *(f"{MARK}/../../../{MARK}", f"job-{MARK}/x.png", "~/.ssh/id_rsa", "/etc/passwd", f"{MARK}\x00.png", "..", "/", ""),
    *(
        f"a/../../{MARK}.png",
        f"a\\..\\..\\{MARK}.png",
        f"C:\\{MARK}.png",
        f"../{MARK}.png [output]",
        f"a//{MARK}",
        "a/" * 40,
    ),
)
JUNK: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 1.5, 1e308, 2**31, 2**63 - 1, -(2**63), 10**30),
    *("", " ", "NaN", "null", "__RANDOM_INT__", "x" * 5000, "\u202e\ufeff", "\x00", "日本", "'; DROP TABLE jobs; --"),
    *([], {}, [[]], ["1", 0], ["1", 99], ["none", 0], ["1", -1], [1, 0], ["1", "0"], {"__value__": ["1", 0]}),
    *({"class_type": "SaveImage"}, {"class_type": 7, "inputs": []}, "data:image/png;base64,AAAA", "${jndi:ldap://x}"),
    *({"job": "none", "output": 0}, {"job": f"../{MARK}", "output": 0}, {"job": 1, "output": [0], "token": {}}),
    *("job-output://none/0", "job-output://../0?token=x", "iVBORw0KGgo" + "A" * 90),
)
Body = dict[str, Any]
STRUCTURE = frozenset({"workflow", "workflow_json", "inputs", "class_type", "input"})
"""What a request falls apart without; the other values are more often the ones that are spoiled."""
Place = tuple[Any, Any]
"""A container and the key or index of one value in it."""


def neighbour(body: Body, random: Random, number: int, urls: tuple[str, ...]) -> bytes:
    """`number` makes its result a new one; three of four stay as they were otherwise. `urls` lead nowhere allowed."""
    copy: Body = orjson.loads(orjson.dumps(body))
    _renumber(copy, number)
    if random.random() < 0.78:
        return orjson.dumps(copy)
    for _ in range(random.choice((1, 1, 1, 2, 3))):
        _spoil(copy, random, urls)
    data = deepened(json.dumps(copy).encode())
    return _garbled(data, random) if random.random() < 0.12 else data


def _renumber(body: object, number: int) -> None:
    """Cached results would be made without work."""
    for container, key in _places(body):
        if key in {"color", "seed", "noise_seed"} and isinstance(container[key], int):
            container[key] = number % 0xFFFFFF
        elif key == "filename_prefix":
            container[key] = f"{MARK}/{number // 50}/{number}"


def _spoil(body: Body, random: Random, urls: tuple[str, ...]) -> None:
    places = _places(body)
    if not places:
        return
    inner = [place for place in places[len(body) :] if place[1] not in STRUCTURE]
    container, key = random.choice(inner if inner and random.random() < 0.7 else places)
    random.choice(SPOILERS)(container, key, random, urls)


def _replace(container: Any, key: Any, random: Random, _: tuple[str, ...]) -> None:  # noqa: ANN401 - JSON
    container[key] = deepcopy(random.choice(JUNK))  # or the next one might put it into itself


def _remove(container: Any, key: Any, *_: object) -> None:  # noqa: ANN401
    del container[key]


def _lead_away(container: Any, key: Any, random: Random, urls: tuple[str, ...]) -> None:  # noqa: ANN401
    container[key] = random.choice((*PATHS, *urls))


def _rename(container: Any, key: Any, random: Random, _: tuple[str, ...]) -> None:  # noqa: ANN401
    if isinstance(container, dict):
        names = (*PATHS, *DIGITS, "workflow", "inputs", "class_type", "id", "1", long_name(random))
        container[random.choice(names)] = container.pop(key)


def _swell(container: Any, key: Any, random: Random, _: tuple[str, ...]) -> None:  # noqa: ANN401
    value = container[key]
    if isinstance(value, str):
        container[key] = value * random.choice((2, 100))
    elif isinstance(value, list):
        container[key] = value * random.choice((2, 50))
    elif isinstance(value, int | float):
        container[key] = -value if random.random() < 0.5 else value * 2


def _deepen(container: Any, key: Any, random: Random, _: tuple[str, ...]) -> None:  # noqa: ANN401
    container[key] = nested(random)


def _reach_a_limit(container: Any, key: Any, random: Random, _: tuple[str, ...]) -> None:  # noqa: ANN401
    container[key] = random.choice((*DIGITS, *(long_name(random) for _ in range(4))))


SPOILERS: tuple[Callable[..., None], ...] = (
    *(_replace, _replace, _remove, _lead_away, _rename, _swell),
    *(_deepen, _reach_a_limit),
)


def _garbled(data: bytes, random: Random) -> bytes:
    """Bytes that no client means."""
    at = random.randrange(len(data))
    match random.randrange(7):
        case 0:
            return data[:at]
        case 1:
            return data[:at] + random.randbytes(3) + data[at:]
        case 2:
            return b"[" * 5000 + data
        case 3:
            return data.replace(b":", b': NaN, "a":', 1)
        case 4:
            return b"\xef\xbb\xbf" + data
        case 5:
            return data.replace(b"{", b'{"1": [], "inputs": null, ', 2)  # keys that come twice
        case _:
            return data.replace(b'"', b'"\\ud800', 1)


def _places(value: Any) -> list[Place]:  # noqa: ANN401 - JSON
    """Every place of a value, in no order."""
    found: list[Place] = []
    waiting = [value]
    while waiting:
        inside = waiting.pop()
        keys: Any = list(inside) if isinstance(inside, dict) else range(len(inside)) if isinstance(inside, list) else ()
        found += [(inside, key) for key in keys]
        waiting += [inside[key] for key in keys]
    return found
