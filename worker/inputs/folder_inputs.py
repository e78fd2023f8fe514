"""Inputs that accept a folder of files, such as the frames of a video."""

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
"""Names that packs give to an input that accepts a folder."""
WRITES = re.compile(r"output|save|dest|target|cache", re.IGNORECASE)
CURE = "use a node that takes the name of a folder in ComfyUI's input folder, such as VHS_LoadImages"


def folder_inputs(prompt: Prompt, catalog: Catalog) -> Iterator[FileInput]:
    """Yield every input that may accept a folder. The caller checks that the request has a folder of that name.

    A combo input lists the folders in ComfyUI's input folder. A text input is a path on ComfyUI's machine.
    """
    for node_id, node in prompt.items():
        class_type, inputs = node["class_type"], node["inputs"]
        uses = path_inputs().get(class_type, {})
        if class_type not in catalog or not (uses or any(NAME.search(name) for name in inputs)):
            continue
        node_class = catalog[class_type]
        for spec in (node_class.static_inputs or expand(node_class, inputs)).values():
            use = uses.get(spec.name)
            if use is None:
                accepts_folder, needs_path = _accepts_folder(spec, node_class), spec.type != COMBO
            else:
                accepts_folder, needs_path = use in READS, use is PathUse.READ
            if accepts_folder and spec.name in inputs:
                yield FileInput(
                    node_id, class_type, spec.name, inputs[spec.name], None, accepts_upload=True, needs_path=needs_path
                )


def check_folder_paths(prompt: Prompt, node_inputs: Sequence[FileInput], opened: OpenFolders) -> None:
    """Raise FileNotAllowed if a node needs the path of a folder and this process cannot access the input folder."""
    if opened.shared is not None:
        return
    details = [
        Detail(
            f"{node_input.label} needs a path, and this worker cannot access ComfyUI's folders",
            node_input.node_id,
            title(prompt, node_input.node_id),
            node_input.class_type,
            node_input.input,
            CURE,
        )
        for node_input in node_inputs
        if node_input.needs_path
    ]
    if details:
        raise FileNotAllowed("; ".join(detail.message for detail in details[:3]), details)


def _accepts_folder(spec: InputSpec, node_class: NodeClass) -> bool:
    """Return True for an input that is named like a folder, of a class that writes nothing."""
    if spec.type not in {COMBO, "STRING"} or node_class.output_node:
        return False
    return bool(NAME.search(spec.name)) and not WRITES.search(spec.name)
