"""File inputs of popular node packs and their model folders, measured on a real ComfyUI.

    python -m worker.workflow.catalog.measured_folders worker/workflow/catalog/data MEASURED.json

MEASURED.json maps `class|input` to the folders whose files appeared in the choices of the input. The table that ships
with the worker is smaller: a row of numbered inputs is one entry (`lora_name_[1-50]`), and the aliases under which
packs register ComfyUI's own folders are removed.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator, Mapping
from functools import cache
from importlib import resources
from pathlib import Path

MEASURED = "input-folders.json"
ALIASES = {"unet_gguf": "diffusion_models", "clip_gguf": "text_encoders"}
SUBFOLDERS = {"ultralytics_bbox": "ultralytics", "ultralytics_segm": "ultralytics"}
"""Folders inside another model folder. Choices contain the subfolder (`bbox/face.pt`)."""
PICKERS = re.compile(r"Select to add|insert_")
"""Names of inputs whose choices only help to write a text."""
_RUN = re.compile(r"\[(\d+)-(\d+)\]")
_NUMBER = re.compile(r"\d+")

Folders = Mapping[str, tuple[str, ...]]
"""The folders of each input of one class."""


@cache
def measured_folders() -> Mapping[str, Folders]:
    """Return the measured folders by class and by input. A row of numbered inputs has one entry for each input."""
    text = resources.files("worker.workflow.catalog").joinpath("data", MEASURED).read_text("utf-8")
    return {
        name: {input_name: tuple(folders) for row, folders in inputs.items() for input_name in _expanded(row)}
        for name, inputs in json.loads(text).items()
    }


def reduce_measured(measured: Mapping[str, list[str]]) -> dict[str, dict[str, list[str]]]:
    """Return the table that ships with the worker: folders by class, and by input or row (`lora_name_[1-50]`).

    `measured` has the folders by `class|input`.
    """
    classes: dict[str, dict[str, list[str]]] = {}
    for key, folder_names in measured.items():
        name, _, input_name = key.rpartition("|")
        folders = list(dict.fromkeys(SUBFOLDERS.get(folder, ALIASES.get(folder, folder)) for folder in folder_names))
        # Inputs that only list uploads are in the table of `path_inputs`.
        if folders != ["input"] and not PICKERS.match(input_name):
            classes.setdefault(name, {})[input_name] = folders
    return {name: _in_rows(classes[name]) for name in sorted(classes)}


def _expanded(row: str) -> Iterator[str]:
    """Yield the inputs of a row such as `lora_name_[1-50]`, or the name itself if it is no row."""
    span = _RUN.search(row)
    if span is None:
        yield row
        return
    for number in range(int(span[1]), int(span[2]) + 1):
        yield f"{row[: span.start()]}{number}{row[span.end() :]}"


def _in_rows(inputs: Mapping[str, list[str]]) -> dict[str, list[str]]:
    """Return the folders of inputs with names that only differ in one number joined into a row.

    `name_1`, `name_2` and `name_3` become `name_[1-3]`, if all have the same folders and no number is missing.
    """
    rows: dict[tuple[str, str, str], list[int]] = {}
    for name, folders in inputs.items():
        found_numbers = _NUMBER.findall(name)
        if len(found_numbers) == 1 and not found_numbers[0].startswith("0"):
            before, after = _NUMBER.split(name)
            rows.setdefault((before, after, "/".join(folders)), []).append(int(found_numbers[0]))
    joined = dict(inputs)
    for (before, after, joined_folders), numbers in rows.items():
        first, last = min(numbers), max(numbers)
        if len(numbers) > 2 and len(numbers) == last - first + 1:
            for number in numbers:
                del joined[f"{before}{number}{after}"]
            joined[f"{before}[{first}-{last}]{after}"] = joined_folders.split("/")
    return joined


def main(folder: str, source: str) -> None:
    """Write the reduced table of the file `source` into `folder`."""
    classes = reduce_measured(json.loads(Path(source).read_bytes()))
    lines = ",\n".join(f"{json.dumps(name)}: {json.dumps(inputs)}" for name, inputs in classes.items())
    (Path(folder) / MEASURED).write_text(f"{{\n{lines}\n}}\n", "utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
