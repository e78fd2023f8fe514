"""Workflows by grammar: graphs from the catalog in which every link fits and every value is in its range."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from hypothesis import strategies as st

from worker.workflow.catalog.catalog import Catalog
from worker.workflow.catalog.node_class import COMBO, InputSpec, NodeClass, Presence
from worker.workflow.prompt import Node, Prompt

Draw = st.DrawFn
WIDGETS = frozenset({"INT", "FLOAT", "STRING", "BOOLEAN", COMBO})
WORDS = ("a lighthouse", "", '50% off, "quoted"', "日本語", "line\nbreak", "__RANDOM_INT__", "a" * 300)
MODEL = "some-model.safetensors"
SMALL = 48
DEEPEST = 4
MARK = "qzx7"
"""In every name of a file: what was written where can be found by it."""
INPUT_FILE = f"{MARK}-given.png"
OTHER_FILES = frozenset({"video", "audio", "audio_file", "directory"})
"""Inputs that are files or folders by their names alone: no request here has any."""
SINKS = (
    *("SaveImage", "PreviewImage", "SaveLatent", "SaveAudio", "PreviewAudio", "SaveAnimatedWEBP", "SaveAnimatedPNG"),
    *("PreviewAny", "SaveImage", "SaveImage", "SaveImageWebsocket", "MaskPreview"),
)


class Grammar:
    """Which classes make which type, and how deep a graph each needs below it."""

    def __init__(self, catalog: Catalog) -> None:
        self.catalog = catalog
        classes = [catalog[name] for name in catalog]
        usable = [one for one in classes if not one.api_node and not one.is_input_list and _plain(one)]
        self._depths = _depths(usable)
        self._makers: dict[str, list[tuple[NodeClass, int]]] = defaultdict(list)
        for one in usable:
            for slot, output in enumerate(one.outputs):
                if one.name in self._depths and isinstance(output.type, str):
                    self._makers[output.type].append((one, slot))
        self.sinks = [catalog[name] for name in SINKS if name in catalog]

    def makers(self, kind: str, depth: int) -> list[tuple[NodeClass, int]]:
        """Classes with a slot of this type that need no deeper graph; the shallowest where there is none."""
        kinds = [name for part in kind.split(",") if (name := part.strip()) in self._makers] or ["IMAGE"]
        found = [maker for name in kinds for maker in self._makers[name]]
        fitting = [maker for maker in found if self._depths[maker[0].name] <= depth]
        return fitting or [min(found, key=lambda maker: self._depths[maker[0].name])]


def _plain(one: NodeClass) -> bool:
    """Without inputs whose shape depends on others', and satisfied with the one picture that comes with a request."""
    fixed = all(spec.type in WIDGETS or not spec.type.startswith("COMFY_") for spec in one.inputs)
    return fixed and not any(spec.name in OTHER_FILES and spec.type in WIDGETS for spec in one.inputs)


def _depths(classes: Sequence[NodeClass]) -> dict[str, int]:
    """How deep a graph each class needs at least; those that can't be fed are left out."""
    depths: dict[str, int] = {}
    types: dict[str, int] = {}
    for depth in range(DEEPEST + 1):
        for one in classes:
            if one.name not in depths and all(types.get(kind, depth) < depth for kind in _needs(one)):
                depths[one.name] = depth
        for one in classes:
            for output in one.outputs:
                if one.name in depths and isinstance(output.type, str):
                    types.setdefault(output.type, depths[one.name])
    return depths


def _needs(one: NodeClass) -> list[str]:
    return [spec.type for spec in one.inputs if spec.presence is Presence.REQUIRED and spec.type not in WIDGETS]


@st.composite
def graphs(draw: Draw, grammar: Grammar) -> Prompt:
    """An API-format prompt of 2 to some 20 nodes."""
    prompt: Prompt = {}
    made: dict[str, list[list[Any]]] = defaultdict(list)

    def node(one: NodeClass, depth: int) -> str:
        inputs = {
            spec.name: linked(spec, depth) if spec.type not in WIDGETS else draw(values(spec))
            for spec in one.inputs
            if spec.presence is Presence.REQUIRED or (spec.presence is Presence.OPTIONAL and spec.type in WIDGETS)
        }
        node_id = str(len(prompt) + 1)
        prompt[node_id] = Node(class_type=one.name, inputs=inputs)
        return node_id

    def linked(spec: InputSpec, depth: int) -> list[Any]:
        known = made[spec.type]
        again: int = draw(st.integers(0, 2 * len(known)))
        if again < len(known):
            return known[again]
        maker, slot = draw(st.sampled_from(grammar.makers(spec.type, depth)))
        link = [node(maker, max(0, depth - 1)), slot]
        known.append(link)
        return link

    node(draw(st.sampled_from(grammar.sinks)), draw(st.integers(0, 2)))
    return prompt


def values(spec: InputSpec) -> st.SearchStrategy[Any]:
    """Allowed for a widget, and small: what is fuzzed is the worker, not the patience of the engine."""
    match spec.type:
        case "INT":
            return _integers(spec)
        case "FLOAT":
            return _numbers(spec)
        case "BOOLEAN":
            return st.booleans()
        case "STRING":
            return st.just(f"{MARK}/file") if "prefix" in spec.name else st.sampled_from(WORDS)
        case _:
            return _choices(spec)


def _integers(spec: InputSpec) -> st.SearchStrategy[int]:
    low = int(max(spec.min or 0, -SMALL))
    return st.integers(low, max(low, int(min(SMALL if spec.max is None else spec.max, low + SMALL))))


def _numbers(spec: InputSpec) -> st.SearchStrategy[float]:
    low = max(spec.min or 0.0, -2.0)
    return st.floats(low, max(low, min(2.0 if spec.max is None else spec.max, low + 2.0)))


def _choices(spec: InputSpec) -> st.SearchStrategy[Any]:
    if "input" in spec.folders or "image" in spec.folders:
        return st.just(INPUT_FILE)
    if spec.folders:
        return st.just(MODEL)
    return st.sampled_from(spec.options) if spec.options else st.just(spec.default)
