"""One or more places of a prompt spoiled, or changed so that ComfyUI still takes it."""

from __future__ import annotations

import copy
from collections.abc import Callable
from random import Random
from typing import Any

from worker.workflow.catalog.catalog import Catalog
from worker.workflow.catalog.dynamic_inputs import expand
from worker.workflow.catalog.node_class import InputSpec
from worker.workflow.prompt import is_link

Nodes = dict[str, Any]

ODD_VALUES: tuple[Any, ...] = (
    *("abc", "", " 12 ", "1.5", "1e3", "True", "nan", "inf", "0x10", "1_000", "none", "None", "ä", "a,b"),
    *(0, 1, -1, 2**31, 2**64, 2**70, -(2**63), 0.0, -0.5, 1.7, 1e30, -1e30, True, False, None),
    *({}, {"a": 1}, {"__value__": 3}, {"__value__": "abc"}, {"__value__": [1, 2]}, {"__value__": ["1", 0]}),
    *({"__value__": None}, {"__type__": "INT", "__value__": 7}, {"__value__": {}}, {"__value__": ["no such", 0]}),
    *([], [1], ["1"], [1, 2, 3], [[1, 2], 0], ["a", "b", "c"], [None, None], [{}, 0]),
)
ODD_SLOTS: tuple[Any, ...] = (-1, 1, 2, 5, 100, -100, "0", 0.0, 1.5, True, False, None, [0], {})
FILES = (
    *("example.png", "missing.png", "../example.png", "/etc/hostname", "/etc", "", ".", "..", "/", "sub/inside.png"),
    *("sub", "sub/../example.png", "sub/*", "main.py", "models", "models/../main.py", "./main.py", "~"),
    *("example.png [input]", "example.png [output]", "example.png [temp]", "made.png [output]", "made.png[output]"),
    *("[input]", "none", "sub/", "example.png/", "a\\b.png", '"example.png"', " example.png ", "clip.mp4", "empty"),
    *("https://example.com/a.mp4", "http://a", "ftp://a/b", "#DATA", "example.png\x00", "notes.txt", "[none]"),
)
"""Some of them are there: see `FOLDERS` in `corpus.py`."""


def mutant(prompt: Nodes, catalog: Catalog, rng: Random) -> Nodes:
    """Return a copy with one to three changes."""
    changed = copy.deepcopy(prompt)
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        nodes = [node_id for node_id, node in changed.items() if _whole(node)]
        if not nodes:
            break
        rng.choice(CHANGES)(changed, rng.choice(nodes), catalog, rng)
    return changed


def file_mutant(prompt: Nodes, node_id: str, name: str, rng: Random) -> Nodes:
    """Return a copy in which an input takes one of `FILES`."""
    changed = copy.deepcopy(prompt)
    changed[node_id]["inputs"][name] = rng.choice(FILES)
    return changed


def _whole(node: Any) -> bool:  # noqa: ANN401 - JSON
    return isinstance(node, dict) and isinstance(node.get("class_type"), str) and isinstance(node.get("inputs"), dict)


def _specs(nodes: Nodes, node_id: str, catalog: Catalog) -> dict[str, InputSpec]:
    node = nodes[node_id]
    return dict(expand(catalog[node["class_type"]], node["inputs"])) if node["class_type"] in catalog else {}


def _value(nodes: Nodes, node_id: str, catalog: Catalog, rng: Random) -> None:
    names = list(_specs(nodes, node_id, catalog)) or list(nodes[node_id]["inputs"])
    if names:
        nodes[node_id]["inputs"][rng.choice(names)] = copy.deepcopy(rng.choice(ODD_VALUES))


def _limit(nodes: Nodes, node_id: str, catalog: Catalog, rng: Random) -> None:
    specs = [spec for spec in _specs(nodes, node_id, catalog).values() if spec.min is not None or spec.max is not None]
    if specs:
        spec = rng.choice(specs)
        limit = rng.choice([one for one in (spec.min, spec.max) if one is not None])
        value = limit + rng.choice((0, 0.4, -0.4, 1, -1, 1e-9, -1e-9))
        nodes[node_id]["inputs"][spec.name] = rng.choice((value, str(value)))


def _choice(nodes: Nodes, node_id: str, catalog: Catalog, rng: Random) -> None:
    specs = [spec for spec in _specs(nodes, node_id, catalog).values() if spec.options]
    if specs:
        spec = rng.choice(specs)
        one = rng.choice(spec.options or ())
        swapped = one.swapcase() if isinstance(one, str) else str(one)
        wrapped = ([one], [one, one], {"__value__": one}, {"__value__": [one]})
        last = str(one).rpartition("/")[2]
        values = (one, swapped, *wrapped, f"x/{one}", last, f"x/{last}", "no such", 0, 1.0)
        nodes[node_id]["inputs"][spec.name] = copy.deepcopy(rng.choice(values))


def _missing_input(nodes: Nodes, node_id: str, catalog: Catalog, rng: Random) -> None:
    inputs = nodes[node_id]["inputs"]
    if inputs:
        del inputs[rng.choice(list(inputs))]


def _more_input(nodes: Nodes, node_id: str, catalog: Catalog, rng: Random) -> None:
    value = rng.choice((1, "x", ["1", 0], ["no such", 0], None, {"on": True, "lora": "a.safetensors"}))
    nodes[node_id]["inputs"][rng.choice(("extra", "lora_1", "any_01", "unique_id", "prompt", "images.image0"))] = value


def _link(nodes: Nodes, node_id: str, catalog: Catalog, rng: Random) -> None:
    """To anywhere, itself included: another type, a cycle, a node that is not there."""
    names = list(_specs(nodes, node_id, catalog)) or ["extra"]
    source = rng.choice((*nodes, *nodes, "no such", "", 1, None))
    slot = rng.choice((0, 0, 0, rng.choice(ODD_SLOTS)))
    nodes[node_id]["inputs"][rng.choice(names)] = copy.deepcopy([source, slot])


def _optional(nodes: Nodes, node_id: str, catalog: Catalog, rng: Random) -> None:
    """One more of the inputs that the class has, or might have, linked to what makes its type."""
    inputs = nodes[node_id]["inputs"]
    specs = [spec for spec in _specs(nodes, node_id, catalog).values() if spec.name not in inputs]
    if specs:
        spec = rng.choice(specs)
        sources = [
            [other, slot]
            for other, node in nodes.items()
            if _whole(node) and node["class_type"] in catalog
            for slot, output in enumerate(catalog[node["class_type"]].outputs)
            if spec.type in (output.type, "*")
        ]
        inputs[spec.name] = rng.choice(sources) if sources else spec.default


def _slot(nodes: Nodes, node_id: str, catalog: Catalog, rng: Random) -> None:
    linked = [name for name, value in nodes[node_id]["inputs"].items() if is_link(value)]
    if linked:
        link = nodes[node_id]["inputs"][name := rng.choice(linked)]
        nodes[node_id]["inputs"][name] = [link[0], copy.deepcopy(rng.choice(ODD_SLOTS))]


def _node(nodes: Nodes, node_id: str, catalog: Catalog, rng: Random) -> None:
    """A node that is gone, or is not as it should be."""
    node = nodes[node_id]
    match rng.randrange(10):
        case 0 | 1 | 2 | 3:
            del nodes[node_id]
        case 4:
            node["inputs"] = {}
        case 5:
            del node["class_type"]
        case 6:
            node["class_type"] = rng.choice(("No Such Class", None, 5, ""))
        case 7:
            del node["inputs"]
        case 8:
            node["inputs"] = rng.choice((None, [], "text"))
        case _:
            node["_meta"] = rng.choice(({}, {"title": "A title"}, {"title": None}))


def _another_class(nodes: Nodes, node_id: str, catalog: Catalog, rng: Random) -> None:
    nodes[node_id]["class_type"] = rng.choice(sorted(catalog))


def _one_more_output(nodes: Nodes, node_id: str, catalog: Catalog, rng: Random) -> None:
    """Something that shows a node, or shows none: then only some outputs of the prompt are good."""
    source = rng.choice((node_id, "no such"))
    nodes[f"shown{len(nodes)}"] = {"class_type": "PreviewAny", "inputs": {"source": [source, rng.choice((0, 0, 0, 7))]}}


CHANGES: tuple[Callable[[Nodes, str, Catalog, Random], None], ...] = (
    *(_value, _value, _value, _limit, _limit, _choice, _choice, _missing_input, _missing_input),
    *(_more_input, _link, _link, _optional, _optional, _slot, _node, _another_class, _one_more_output),
)
