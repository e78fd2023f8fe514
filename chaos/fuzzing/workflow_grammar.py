"""Strategies for workflows: graphs of the catalog's classes in which every link fits and every value is in range."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from hypothesis import strategies as st

from worker.workflow.catalog.catalog import Catalog
from worker.workflow.catalog.node_class import COMBO, InputSpec, NodeClass, Presence
from worker.workflow.prompt import Node, Prompt

Draw = st.DrawFn
FIELD_TYPES = frozenset({"INT", "FLOAT", "STRING", "BOOLEAN", COMBO})
TEXTS = ("a lighthouse", "", '50% off, "quoted"', "日本語", "line\nbreak", "__RANDOM_INT__", "a" * 300)
MODEL = "some-model.safetensors"
MAX_RANGE = 48
MAX_DEPTH = 4
MARK = "qzx7"
"""A mark in every filename, by which misplaced files can be found."""
INPUT_FILE = f"{MARK}-input.png"
OTHER_FILES = frozenset({"video", "audio", "audio_file", "directory"})
"""Inputs that name files or folders which the requests do not have."""
SINKS = (
    *("SaveImage", "PreviewImage", "SaveLatent", "SaveAudio", "PreviewAudio", "SaveAnimatedWEBP", "SaveAnimatedPNG"),
    *("PreviewAny", "SaveImage", "SaveImage", "SaveImageWebsocket", "MaskPreview"),
)


class WorkflowGrammar:
    """The classes that can be used, by the types of their outputs, with the depth of the graph that each needs."""

    def __init__(self, catalog: Catalog) -> None:
        self.catalog = catalog
        classes = [catalog[name] for name in catalog]
        usable = [each for each in classes if not each.api_node and not each.is_input_list and _is_usable(each)]
        self._depths = _depths(usable)
        self._sources: dict[str, list[tuple[NodeClass, int]]] = defaultdict(list)
        for node_class in usable:
            for slot, output in enumerate(node_class.outputs):
                if node_class.name in self._depths and isinstance(output.type, str):
                    self._sources[output.type].append((node_class, slot))
        self.sinks = [catalog[name] for name in SINKS if name in catalog]

    def sources(self, kind: str, depth: int) -> list[tuple[NodeClass, int]]:
        """Return the classes and slots that output a type with a graph of at most this depth.

        If there are none, return the one with the smallest graph.
        """
        kinds = [name for part in kind.split(",") if (name := part.strip()) in self._sources] or ["IMAGE"]
        candidates = [source for name in kinds for source in self._sources[name]]
        fitting = [source for source in candidates if self._depths[source[0].name] <= depth]
        return fitting or [min(candidates, key=lambda source: self._depths[source[0].name])]


def _is_usable(node_class: NodeClass) -> bool:
    """Return whether a class has no dynamic inputs, and needs no other file than the image of a request."""
    is_fixed = all(spec.type in FIELD_TYPES or not spec.type.startswith("COMFY_") for spec in node_class.inputs)
    return is_fixed and not any(spec.name in OTHER_FILES and spec.type in FIELD_TYPES for spec in node_class.inputs)


def _depths(classes: Sequence[NodeClass]) -> dict[str, int]:
    """Return the depth of the smallest graph that each class needs. Classes that cannot be fed are left out."""
    depths: dict[str, int] = {}
    types: dict[str, int] = {}
    for depth in range(MAX_DEPTH + 1):
        for node_class in classes:
            needed = (types.get(kind, depth) for kind in _required_types(node_class))
            if node_class.name not in depths and all(below < depth for below in needed):
                depths[node_class.name] = depth
        for node_class in classes:
            for output in node_class.outputs:
                if node_class.name in depths and isinstance(output.type, str):
                    types.setdefault(output.type, depths[node_class.name])
    return depths


def _required_types(node_class: NodeClass) -> list[str]:
    """Return the types of the required sockets."""
    sockets = (spec for spec in node_class.inputs if spec.type not in FIELD_TYPES)
    return [spec.type for spec in sockets if spec.presence is Presence.REQUIRED]


@st.composite
def graphs(draw: Draw, grammar: WorkflowGrammar) -> Prompt:
    """Draw a prompt in API format of 2 to about 20 nodes."""
    prompt: Prompt = {}
    links: dict[str, list[list[Any]]] = defaultdict(list)

    def add_node(node_class: NodeClass, depth: int) -> str:
        """Add a node with the nodes that feed it, and return its id."""
        inputs = {
            spec.name: link(spec, depth) if spec.type not in FIELD_TYPES else draw(values(spec))
            for spec in node_class.inputs
            if spec.presence is Presence.REQUIRED or (spec.presence is Presence.OPTIONAL and spec.type in FIELD_TYPES)
        }
        node_id = str(len(prompt) + 1)
        prompt[node_id] = Node(class_type=node_class.name, inputs=inputs)
        return node_id

    def link(spec: InputSpec, depth: int) -> list[Any]:
        """Return a link to an earlier output of the type, or to a new node."""
        earlier = links[spec.type]
        choice: int = draw(st.integers(0, 2 * len(earlier)))
        if choice < len(earlier):
            return earlier[choice]
        node_class, slot = draw(st.sampled_from(grammar.sources(spec.type, depth)))
        new_link = [add_node(node_class, max(0, depth - 1)), slot]
        earlier.append(new_link)
        return new_link

    add_node(draw(st.sampled_from(grammar.sinks)), draw(st.integers(0, 2)))
    return prompt


def values(spec: InputSpec) -> st.SearchStrategy[Any]:
    """Return a strategy for the values of a field. They are small, so that the engine has little work."""
    match spec.type:
        case "INT":
            return _small_integers(spec)
        case "FLOAT":
            return _small_floats(spec)
        case "BOOLEAN":
            return st.booleans()
        case "STRING":
            return st.just(f"{MARK}/file") if "prefix" in spec.name else st.sampled_from(TEXTS)
        case _:
            return _choices(spec)


def _small_integers(spec: InputSpec) -> st.SearchStrategy[int]:
    """Return a strategy for integers near the minimum of a field."""
    low = int(max(spec.min or 0, -MAX_RANGE))
    return st.integers(low, max(low, int(min(MAX_RANGE if spec.max is None else spec.max, low + MAX_RANGE))))


def _small_floats(spec: InputSpec) -> st.SearchStrategy[float]:
    """Return a strategy for floats near the minimum of a field."""
    low = max(spec.min or 0.0, -2.0)
    return st.floats(low, max(low, min(2.0 if spec.max is None else spec.max, low + 2.0)))


def _choices(spec: InputSpec) -> st.SearchStrategy[Any]:
    """Return a strategy for the choices of a combo. Files are the request's image or a fixed model."""
    if "input" in spec.folders or "image" in spec.folders:
        return st.just(INPUT_FILE)
    if spec.folders:
        return st.just(MODEL)
    return st.sampled_from(spec.options) if spec.options else st.just(spec.default)
