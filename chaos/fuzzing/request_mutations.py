"""Variants of a request: most are valid, the others are wrong in one to three places, and some are not even JSON."""

from __future__ import annotations

import json
from collections.abc import Callable
from copy import deepcopy
from random import Random
from typing import Any

import orjson

from chaos.fuzzing.limit_values import DIGITS, long_name, nested, replace_placeholders
from chaos.fuzzing.workflow_grammar import MARK

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
"""Keys that a request needs. The values of other keys are changed more often."""
Location = tuple[Any, Any]
"""A container, and the key or index of one value in it."""


def variant(body: Body, random: Random, number: int, urls: tuple[str, ...]) -> bytes:
    """Return a variant of a body as JSON.

    `number` changes the seed, so that the result is not cached. Three of four variants have no other change. `urls` are
    addresses that the worker must not request.
    """
    copy: Body = orjson.loads(orjson.dumps(body))
    _set_seeds(copy, number)
    if random.random() < 0.78:
        return orjson.dumps(copy)
    for _ in range(random.choice((1, 1, 1, 2, 3))):
        _mutate(copy, random, urls)
    data = replace_placeholders(json.dumps(copy).encode())
    return _corrupted(data, random) if random.random() < 0.12 else data


def _set_seeds(body: object, number: int) -> None:
    """Set seeds and filename prefixes, because ComfyUI does not run a prompt whose results are cached."""
    for container, key in _locations(body):
        if key in {"color", "seed", "noise_seed"} and isinstance(container[key], int):
            container[key] = number % 0xFFFFFF
        elif key == "filename_prefix":
            container[key] = f"{MARK}/{number // 50}/{number}"


def _mutate(body: Body, random: Random, urls: tuple[str, ...]) -> None:
    """Change one random value of a body in place."""
    locations = _locations(body)
    if not locations:
        return
    inner = [location for location in locations[len(body) :] if location[1] not in STRUCTURE]
    container, key = random.choice(inner if inner and random.random() < 0.7 else locations)
    random.choice(MUTATIONS)(container, key, random, urls)


def _replace(container: Any, key: Any, random: Random, _: tuple[str, ...]) -> None:  # noqa: ANN401 - JSON
    """Replace a value by junk."""
    # A copy, because a later mutation could otherwise insert the object of JUNK into itself.
    container[key] = deepcopy(random.choice(JUNK))


def _remove(container: Any, key: Any, *_: object) -> None:  # noqa: ANN401
    """Remove a value."""
    del container[key]


def _redirect(container: Any, key: Any, random: Random, urls: tuple[str, ...]) -> None:  # noqa: ANN401
    """Replace a value by a forbidden path or URL."""
    container[key] = random.choice((*PATHS, *urls))


def _rename(container: Any, key: Any, random: Random, _: tuple[str, ...]) -> None:  # noqa: ANN401
    """Rename a key."""
    if isinstance(container, dict):
        names = (*PATHS, *DIGITS, "workflow", "inputs", "class_type", "id", "1", long_name(random))
        container[random.choice(names)] = container.pop(key)


def _enlarge(container: Any, key: Any, random: Random, _: tuple[str, ...]) -> None:  # noqa: ANN401
    """Repeat a text or list, or change a number."""
    value = container[key]
    if isinstance(value, str):
        container[key] = value * random.choice((2, 100))
    elif isinstance(value, list):
        container[key] = value * random.choice((2, 50))
    elif isinstance(value, int | float):
        container[key] = -value if random.random() < 0.5 else value * 2


def _nest(container: Any, key: Any, random: Random, _: tuple[str, ...]) -> None:  # noqa: ANN401
    """Replace a value by a deeply nested one."""
    container[key] = nested(random)


def _set_limit_value(container: Any, key: Any, random: Random, _: tuple[str, ...]) -> None:  # noqa: ANN401
    """Replace a value by unusual digits or a long filename."""
    container[key] = random.choice((*DIGITS, *(long_name(random) for _ in range(4))))


MUTATIONS: tuple[Callable[..., None], ...] = (
    *(_replace, _replace, _remove, _redirect, _rename, _enlarge),
    *(_nest, _set_limit_value),
)


def _corrupted(data: bytes, random: Random) -> bytes:
    """Return the bytes with an error that makes them invalid JSON, or valid JSON that no client would send."""
    position = random.randrange(len(data))
    match random.randrange(7):
        case 0:
            return data[:position]
        case 1:
            return data[:position] + random.randbytes(3) + data[position:]
        case 2:
            return b"[" * 5000 + data
        case 3:
            return data.replace(b":", b': NaN, "a":', 1)
        case 4:
            return b"\xef\xbb\xbf" + data
        case 5:
            return data.replace(b"{", b'{"1": [], "inputs": null, ', 2)  # duplicate keys
        case _:
            return data.replace(b'"', b'"\\ud800', 1)


def _locations(value: Any) -> list[Location]:  # noqa: ANN401 - JSON
    """Return the locations of all values inside a value, those of the top level first."""
    locations: list[Location] = []
    waiting = [value]
    while waiting:
        container = waiting.pop()
        if isinstance(container, dict):
            keys: list[Any] = list(container)
        else:
            keys = list(range(len(container))) if isinstance(container, list) else []
        locations += [(container, key) for key in keys]
        waiting += [container[key] for key in keys]
    return locations
