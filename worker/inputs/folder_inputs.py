"""Inputs that take a folder of files, such as the frames of a film."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from worker.errors import Detail, FileNotAllowed
from worker.inputs.file_inputs import READS, FileInput, OpenFolders
from worker.workflow.catalog.catalog import Catalog
from worker.workflow.catalog.dynamic_inputs import expand
from worker.workflow.catalog.node_class import COMBO, InputSpec, NodeClass
from worker.workflow.catalog.path_inputs import PathUse, path_inputs
from worker.workflow.prompt import Prompt, title

NAME = re.compile(r"(^|_)(dir|directory|folder|path)s?$", re.IGNORECASE)
"""How packs call an input that takes a folder."""
WRITES = re.compile(r"output|save|dest|target|cache", re.IGNORECASE)
CURE = "use a node that takes the name of a folder in ComfyUI's input folder, such as VHS_LoadImages"


def folder_inputs(prompt: Prompt, catalog: Catalog) -> Iterator[FileInput]:
    """Yield every input that may take a folder; one does where the request has a folder of that name.

    A choice lists the folders of ComfyUI's input folder. A text is a path of ComfyUI's machine.
    """
    for node_id, node in prompt.items():
        class_type, inputs = node["class_type"], node["inputs"]
        uses = path_inputs().get(class_type, {})
        if class_type not in catalog or not (uses or any(NAME.search(name) for name in inputs)):
            continue
        node_class = catalog[class_type]
        for spec in (node_class.shown or expand(node_class, inputs)).values():
            use = uses.get(spec.name)
            if spec.name in inputs and (_takes_folder(spec, node_class) if use is None else use in READS):
                path = spec.type != COMBO if use is None else use is PathUse.READ
                yield FileInput(node_id, class_type, spec.name, inputs[spec.name], None, uploads=True, path=path)


def check_paths(prompt: Prompt, places: Sequence[FileInput], opened: OpenFolders) -> None:
    """Raise FileNotAllowed where a node wants the path of a folder that this process does not see."""
    if opened.shared is not None:
        return
    details = [
        Detail(
            f"{place.label} wants a path, and this worker reaches no folder of ComfyUI's",
            *(place.node_id, title(prompt, place.node_id), place.class_type, place.input, CURE),
        )
        for place in places
        if place.path
    ]
    if details:
        raise FileNotAllowed("; ".join(detail.message for detail in details[:3]), details)


def _takes_folder(spec: InputSpec, node_class: NodeClass) -> bool:
    kind = spec.type in {COMBO, "STRING"}
    return kind and bool(NAME.search(spec.name)) and not WRITES.search(spec.name) and not node_class.output_node
