"""Which inputs of ComfyUI's own classes and of popular packs take a path, and what their nodes do with it.

Facts of ComfyUI 0.33.0 and of seventeen packs, in `data/path-inputs.json`: read in their sources, and measured by
calling the classes with marked paths. A class that is not in the table is judged by the names of its inputs.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from enum import StrEnum
from functools import cache
from importlib import resources

TABLE = "path-inputs.json"


class PathUse(StrEnum):
    """What a node does with the path in one of its inputs.

    - `read`: it reads what is at this path of the machine, or looks at it
    - `input`: it reads the file or folder of this name in ComfyUI's input folder
    - `output`: it reads the folder of this name in ComfyUI's output folder
    - `choice`: it reads what the operator has under this name in a folder of the node's own
    - `part`: it joins the text to a path that it reads, as a file's name or a pattern
    - `write`: it writes into this folder
    - `name`: it makes the name of what it writes from the text, and does not check it
    - `token`: it puts the text into other texts, and so into paths
    - `likely`: nothing is known but the name of the input, which is one of a path
    """

    READ = "read"
    INPUT = "input"
    OUTPUT = "output"
    CHOICE = "choice"
    PART = "part"
    WRITE = "write"
    NAME = "name"
    TOKEN = "token"  # noqa: S105
    LIKELY = "likely"


LIKE_A_PATH = re.compile(r"(^|_)(dir|directory|folder|path|file|filename|filepath)s?$", re.IGNORECASE)
"""How packs call an input that takes a path."""


@cache
def path_inputs() -> Mapping[str, Mapping[str, PathUse]]:
    """Return what is known of the inputs of each class."""
    text = resources.files("worker.workflow.catalog").joinpath("data", TABLE).read_text("utf-8")
    return {
        class_type: {name: PathUse(use) for name, use in inputs.items()}
        for class_type, inputs in json.loads(text).items()
    }


def path_use(class_type: str, input_name: str) -> PathUse | None:
    """Return what a node of this class does with the path in this input; None where nothing is known of one."""
    return path_inputs().get(class_type, {}).get(input_name)
