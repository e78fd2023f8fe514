"""A builder of workflow files for tests, and a catalog of small classes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson

from worker.errors import CannotConvert
from worker.workflow.catalog.catalog import Catalog
from worker.workflow.editor import convert, stringify

SIZE = ["INT", {"default": 512, "min": 16, "max": 1024, "step": 8}]
MODES = ["COMBO", {"options": ["fit", "fill"]}]


def node_class(required: dict[str, Any], outputs: Sequence[str] = (), **more: Any) -> dict[str, Any]:
    """Return one class of `GET /object_info`. `more` are its optional inputs."""
    return {
        "input": {"required": required, "optional": more},
        "input_order": {"required": list(required), "optional": list(more)},
        "output": list(outputs),
        "python_module": "nodes",
        "api_node": False,
    }


PICTURES = {"input": {"required": {"image": ["IMAGE"]}}, "prefix": "image", "min": 1, "max": 9}
SIZES = [
    {"key": "small", "inputs": {"required": {"steps": ["INT", {"default": 4}]}}},
    {"key": "large", "inputs": {"required": {"prompt": ["STRING", {}], "ratio": ["FLOAT", {}], "image": ["IMAGE"]}}},
    {"key": "none", "inputs": {}},
]
CLASSES = {
    "Load": node_class({"image": [["a.png", "b.png"], {"image_upload": True}]}, ["IMAGE", "MASK"]),
    "Canvas": node_class({"width": SIZE, "height": SIZE}, ["IMAGE"]),
    "Blur": node_class({"image": ["IMAGE"], "radius": ["FLOAT", {"default": 1.0, "step": 0.1, "max": 9.0}]}, ["IMAGE"]),
    "Mix": node_class({"a": ["IMAGE"], "b": ["IMAGE"], "how": MODES}, ["IMAGE"]),
    "Mask": node_class({"mask": ["MASK"]}, ["MASK"]),
    "Sample": node_class({"seed": ["INT", {}], "steps": ["INT", {"default": 20}], "how": MODES}, ["LATENT"]),
    "Say": node_class({"text": ["STRING", {"multiline": True, "dynamicPrompts": True}]}, ["STRING"]),
    "Quote": node_class({"text": ["STRING", {}]}, ["STRING"]),
    "Number": node_class({"value": ["INT", {"control_after_generate": True}]}, ["INT"]),
    "Any": node_class({"value": ["*"]}, ["*"]),
    "Old": node_class({"strength": ["FLOAT", {"forceInput": True}], "how": MODES}, []),
    "SaveImage": node_class({"images": ["IMAGE"], "filename_prefix": ["STRING", {"default": "out"}]}),
    "Rect": node_class({"box": ["BOUNDING_BOX", {}], "last": ["INT", {}]}),
    "Grow": node_class({"images": ["COMFY_AUTOGROW_V3", {"template": PICTURES}]}, ["IMAGE"]),
    "Choose": node_class({"model": ["COMFY_DYNAMICCOMBO_V3", {"options": SIZES}], "seed": ["INT", {}]}, ["IMAGE"]),
    "Scene": node_class({"image": ["LOAD_3D", {}]}),
}
CATALOG = Catalog.from_object_info(CLASSES)


def convert_or_error(workflow: object, catalog: Catalog = CATALOG) -> tuple[str, str]:
    """Return the prompt as text and an empty message, or an empty text and the message of the error."""
    try:
        prompt = convert(workflow, catalog).prompt
        orjson.dumps(prompt)
        return stringify(prompt), ""
    except CannotConvert as error:
        return "", error.message


class WorkflowBuilder:
    """Builds a workflow file, or with `subgraph` as its id the definition of a subgraph."""

    def __init__(self, subgraph: str = "") -> None:
        self.nodes: list[dict[str, Any]] = []
        self.links: list[Any] = []
        self.definitions: list[WorkflowBuilder] = []
        self.subgraph = subgraph
        self.inputs: list[dict[str, Any]] = []
        self.outputs: list[dict[str, Any]] = []

    def node(self, number: int, kind: str, values: Any = None, mode: int = 0, **more: Any) -> int:
        """Add a node and return its id."""
        node = {"id": number, "type": kind, "mode": mode, "inputs": [], "outputs": [], "widgets_values": values}
        self.nodes.append({**node, "properties": {}, **more})
        return number

    def link(self, origin: int, slot: int, target: int, name: str, kind: str = "*", widget: bool = False) -> int:
        """Link an output to the input `name` of another node, and return the link's id. -10 is a subgraph's input."""
        number = len(self.links) + 1
        inputs = self._at(target)["inputs"]
        entry = next((slot for slot in inputs if slot["name"] == name), None)
        if entry is None:
            entry = {"name": name, "type": kind}
            inputs.append(entry)
        entry |= {"link": number, **({"widget": {"name": name}} if widget else {})}
        index = inputs.index(entry)
        if origin != -10:
            outputs = self._at(origin)["outputs"]
            while len(outputs) <= slot:
                outputs.append({"name": "", "type": kind, "links": []})
            outputs[slot]["links"].append(number)
        row = [number, origin, slot, target, index, kind]
        names = ("id", "origin_id", "origin_slot", "target_id", "target_slot", "type")
        self.links.append(dict(zip(names, row, strict=True)) if self.subgraph else row)
        return number

    def add_input(self, name: str, kind: str, *targets: tuple[int, str], widget: bool = False) -> None:
        """Add an input of the subgraph, linked to inputs inside."""
        links = [self.link(-10, len(self.inputs), target, inner, kind, widget) for target, inner in targets]
        self.inputs.append({"name": name, "type": kind, "linkIds": links})

    def add_output(self, name: str, kind: str, origin: int, slot: int = 0) -> None:
        """Add an output of the subgraph, linked from a node inside."""
        number = len(self.links) + 1
        ends = {"origin_id": origin, "origin_slot": slot, "target_id": -20, "target_slot": len(self.outputs)}
        self.links.append({"id": number, **ends, "type": kind})
        self.outputs.append({"name": name, "type": kind, "linkIds": [number]})

    def saved(self) -> dict[str, Any]:
        """Return the file as JSON."""
        saved: dict[str, Any] = {"nodes": self.nodes, "links": self.links, "version": 0.4}
        if self.subgraph:
            saved |= {"id": self.subgraph, "inputs": self.inputs, "outputs": self.outputs}
        if self.definitions:
            saved["definitions"] = {"subgraphs": [definition.saved() for definition in self.definitions]}
        return saved

    def prompt(self, catalog: Catalog = CATALOG) -> dict[str, Any]:
        """Return class and inputs of each node of the prompt, by id."""
        prompt = convert(self.saved(), catalog).prompt
        return {node_id: (node["class_type"], node["inputs"]) for node_id, node in prompt.items()}

    def inputs_of(self, node_id: str | int) -> Any:
        """Return the inputs of one node of the prompt."""
        return self.prompt()[str(node_id)][1]

    def conversion_error(self) -> CannotConvert:
        """Return the error of the conversion. Raises AssertionError without one."""
        try:
            convert(self.saved(), CATALOG)
        except CannotConvert as error:
            return error
        raise AssertionError("the workflow was converted")

    def _at(self, number: int) -> dict[str, Any]:
        """Return the node with this id."""
        return next(node for node in self.nodes if node["id"] == number)
