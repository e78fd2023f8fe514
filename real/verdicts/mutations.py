"""Random changes of prompts. Some make the prompt invalid, and some do not."""

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
"""File names, some of which exist. See `FOLDERS` in `corpus.py`."""


def mutant(prompt: Nodes, catalog: Catalog, rng: Random) -> Nodes:
    """Return a copy of the prompt with one to three random changes."""
    changed = copy.deepcopy(prompt)
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        nodes = [node_id for node_id, node in changed.items() if _is_complete(node)]
        if not nodes:
            break
        rng.choice(CHANGES)(changed, rng.choice(nodes), catalog, rng)
    return changed


def file_mutant(prompt: Nodes, node_id: str, name: str, rng: Random) -> Nodes:
    """Return a copy of the prompt in which an input has one of the names in `FILES`."""
    changed = copy.deepcopy(prompt)
    changed[node_id]["inputs"][name] = rng.choice(FILES)
    return changed


def _is_complete(node: Any) -> bool:  # noqa: ANN401 - JSON
    """Return whether a node has a class and inputs."""
    return isinstance(node, dict) and isinstance(node.get("class_type"), str) and isinstance(node.get("inputs"), dict)


def _specs(nodes: Nodes, node_id: str, catalog: Catalog) -> dict[str, InputSpec]:
    """Return the inputs that the class of a node has, by name."""
    node = nodes[node_id]
    return dict(expand(catalog[node["class_type"]], node["inputs"])) if node["class_type"] in catalog else {}


def _set_odd_value(nodes: Nodes, node_id: str, catalog: Catalog, rng: Random) -> None:
    """Set an input to one of `ODD_VALUES`."""
    names = list(_specs(nodes, node_id, catalog)) or list(nodes[node_id]["inputs"])
    if names:
        nodes[node_id]["inputs"][rng.choice(names)] = copy.deepcopy(rng.choice(ODD_VALUES))


def _set_near_limit(nodes: Nodes, node_id: str, catalog: Catalog, rng: Random) -> None:
    """Set a number to a value near its minimum or maximum."""
    specs = [spec for spec in _specs(nodes, node_id, catalog).values() if spec.min is not None or spec.max is not None]
    if specs:
        spec = rng.choice(specs)
        limit = rng.choice([limit for limit in (spec.min, spec.max) if limit is not None])
        value = limit + rng.choice((0, 0.4, -0.4, 1, -1, 1e-9, -1e-9))
        nodes[node_id]["inputs"][spec.name] = rng.choice((value, str(value)))


def _change_choice(nodes: Nodes, node_id: str, catalog: Catalog, rng: Random) -> None:
    """Set a combo to one of its options, or to a value derived from it."""
    specs = [spec for spec in _specs(nodes, node_id, catalog).values() if spec.options]
    if specs:
        spec = rng.choice(specs)
        option = rng.choice(spec.options or ())
        swapped = option.swapcase() if isinstance(option, str) else str(option)
        wrapped = ([option], [option, option], {"__value__": option}, {"__value__": [option]})
        basename = str(option).rpartition("/")[2]
        values = (option, swapped, *wrapped, f"x/{option}", basename, f"x/{basename}", "no such", 0, 1.0)
        nodes[node_id]["inputs"][spec.name] = copy.deepcopy(rng.choice(values))


def _remove_input(nodes: Nodes, node_id: str, catalog: Catalog, rng: Random) -> None:
    """Remove an input."""
    inputs = nodes[node_id]["inputs"]
    if inputs:
        del inputs[rng.choice(list(inputs))]


def _add_unknown_input(nodes: Nodes, node_id: str, catalog: Catalog, rng: Random) -> None:
    """Add an input that most classes do not have."""
    value = rng.choice((1, "x", ["1", 0], ["no such", 0], None, {"on": True, "lora": "a.safetensors"}))
    nodes[node_id]["inputs"][rng.choice(("extra", "lora_1", "any_01", "unique_id", "prompt", "images.image0"))] = value


def _set_link(nodes: Nodes, node_id: str, catalog: Catalog, rng: Random) -> None:
    """Link an input to any node: of another type, in a cycle, or a node that does not exist."""
    names = list(_specs(nodes, node_id, catalog)) or ["extra"]
    source = rng.choice((*nodes, *nodes, "no such", "", 1, None))
    slot = rng.choice((0, 0, 0, rng.choice(ODD_SLOTS)))
    nodes[node_id]["inputs"][rng.choice(names)] = copy.deepcopy([source, slot])


def _add_known_input(nodes: Nodes, node_id: str, catalog: Catalog, rng: Random) -> None:
    """Add an unused input of the class, linked to an output of its type or set to its default."""
    inputs = nodes[node_id]["inputs"]
    specs = [spec for spec in _specs(nodes, node_id, catalog).values() if spec.name not in inputs]
    if specs:
        spec = rng.choice(specs)
        sources = [
            [other, slot]
            for other, node in nodes.items()
            if _is_complete(node) and node["class_type"] in catalog
            for slot, output in enumerate(catalog[node["class_type"]].outputs)
            if spec.type in (output.type, "*")
        ]
        inputs[spec.name] = rng.choice(sources) if sources else spec.default


def _change_slot(nodes: Nodes, node_id: str, catalog: Catalog, rng: Random) -> None:
    """Set the output slot of a link to one of `ODD_SLOTS`."""
    linked = [name for name, value in nodes[node_id]["inputs"].items() if is_link(value)]
    if linked:
        name = rng.choice(linked)
        link = nodes[node_id]["inputs"][name]
        nodes[node_id]["inputs"][name] = [link[0], copy.deepcopy(rng.choice(ODD_SLOTS))]


def _damage_node(nodes: Nodes, node_id: str, catalog: Catalog, rng: Random) -> None:
    """Remove a node, or change its form."""
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


def _change_class(nodes: Nodes, node_id: str, catalog: Catalog, rng: Random) -> None:
    """Set the class of a node to any class of the catalog."""
    nodes[node_id]["class_type"] = rng.choice(sorted(catalog))


def _add_output_node(nodes: Nodes, node_id: str, catalog: Catalog, rng: Random) -> None:
    """Add an output node with a valid or an invalid source, so that only some outputs of the prompt may be valid."""
    source = rng.choice((node_id, "no such"))
    nodes[f"shown{len(nodes)}"] = {"class_type": "PreviewAny", "inputs": {"source": [source, rng.choice((0, 0, 0, 7))]}}


CHANGES: tuple[Callable[[Nodes, str, Catalog, Random], None], ...] = (
    *(_set_odd_value, _set_odd_value, _set_odd_value, _set_near_limit, _set_near_limit),
    *(_change_choice, _change_choice, _remove_input, _remove_input, _add_unknown_input, _set_link, _set_link),
    *(_add_known_input, _add_known_input, _change_slot, _damage_node, _change_class, _add_output_node),
)
"""The changes to choose from. A change that occurs several times is more likely."""
