"""Which inputs of popular node packs offer files of models, and from which folders: measured on a real ComfyUI.

    python -m worker.workflow.catalog.measured_folders worker/workflow/catalog/data MEASURED.json

MEASURED.json has the folders by `class|input`: those of which a file that was put there turned up in the choices.
What is written beside the catalog that ships with the worker is smaller: inputs that are numbered in a row are one
entry (`lora_name_[1-50]`), and the second names under which packs register ComfyUI's own folders are left out.
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
SECOND_NAMES = {"unet_gguf": "diffusion_models", "clip_gguf": "text_encoders"}
INSIDE = {"ultralytics_bbox": "ultralytics", "ultralytics_segm": "ultralytics"}
"""Folders inside of another one, which the choices name as a part of the file (`bbox/face.pt`)."""
PICKERS = re.compile(r"Select to add|insert_")
"""Choices that only help to write a text."""
_RUN = re.compile(r"\[(\d+)-(\d+)\]")
_NUMBER = re.compile(r"\d+")

Folders = Mapping[str, tuple[str, ...]]
"""The folders of each input of one class."""


@cache
def measured_folders() -> Mapping[str, Folders]:
    """Return them by class."""
    text = resources.files("worker.workflow.catalog").joinpath("data", MEASURED).read_text("utf-8")
    return {
        name: {one: tuple(folders) for written, folders in inputs.items() for one in _expanded(written)}
        for name, inputs in json.loads(text).items()
    }


def reduce_measured(measured: Mapping[str, list[str]]) -> dict[str, dict[str, list[str]]]:
    """Return what ships, by class and by input or row of inputs."""
    classes: dict[str, dict[str, list[str]]] = {}
    for place, found in measured.items():
        name, _, input_name = place.rpartition("|")
        folders = list(dict.fromkeys(INSIDE.get(one, SECOND_NAMES.get(one, one)) for one in found))
        if folders != ["input"] and not PICKERS.match(input_name):
            classes.setdefault(name, {})[input_name] = folders
    return {name: _in_rows(classes[name]) for name in sorted(classes)}


def _expanded(written: str) -> Iterator[str]:
    row = _RUN.search(written)
    if row is None:
        yield written
        return
    for number in range(int(row[1]), int(row[2]) + 1):
        yield f"{written[: row.start()]}{number}{written[row.end() :]}"


def _in_rows(inputs: Mapping[str, list[str]]) -> dict[str, list[str]]:
    """Join names that differ in their one number only, where there is each number of a row."""
    rows: dict[tuple[str, str, str], list[int]] = {}
    for name, folders in inputs.items():
        if len(numbers := _NUMBER.findall(name)) == 1 and not numbers[0].startswith("0"):
            before, after = _NUMBER.split(name)
            rows.setdefault((before, after, "/".join(folders)), []).append(int(numbers[0]))
    joined = dict(inputs)
    for (before, after, together), numbers in rows.items():
        first, last = min(numbers), max(numbers)
        if len(numbers) > 2 and len(numbers) == last - first + 1:
            for number in numbers:
                del joined[f"{before}{number}{after}"]
            joined[f"{before}[{first}-{last}]{after}"] = together.split("/")
    return joined


def main(folder: str, source: str) -> None:
    """Write the reduced form of `source` into `folder`."""
    found = reduce_measured(json.loads(Path(source).read_bytes()))
    lines = ",\n".join(f"{json.dumps(name)}: {json.dumps(inputs)}" for name, inputs in found.items())
    (Path(folder) / MEASURED).write_text(f"{{\n{lines}\n}}\n", "utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
