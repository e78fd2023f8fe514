"""Inputs that take a path, and what their nodes do with it.

`data/path-inputs.json` covers ComfyUI 0.33.0 and seventeen node packs. Its entries come from their sources, and from
calls of the classes with marked paths. For a class that is not in the table, the names of its inputs decide.
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

    - `read`: reads the file or folder at this path of the machine, or checks whether it exists
    - `input`: reads the file or folder of this name in ComfyUI's input folder
    - `output`: reads the folder of this name in ComfyUI's output folder
    - `choice`: reads a file of this name that the operator put into a folder of the node pack
    - `part`: appends the text to a path that it reads, as a file name or a pattern
    - `write`: writes into this folder
    - `name`: derives the name of its output file from the text, without a check
    - `token`: inserts the text into other texts, and so into paths
    - `likely`: unknown, but the input has a typical name of a path
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
"""Typical names of inputs that take a path."""


@cache
def path_inputs() -> Mapping[str, Mapping[str, PathUse]]:
    """Return the table: the use of each known path input, by class and input."""
    text = resources.files("worker.workflow.catalog").joinpath("data", TABLE).read_text("utf-8")
    return {
        class_type: {name: PathUse(use) for name, use in inputs.items()}
        for class_type, inputs in json.loads(text).items()
    }


def path_use(class_type: str, input_name: str) -> PathUse | None:
    """Return what a node of this class does with the path in this input, or None if the table has no entry."""
    return path_inputs().get(class_type, {}).get(input_name)
