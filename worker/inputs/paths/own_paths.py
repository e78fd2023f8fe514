"""Relative paths that are none of the job's files: where nodes read and write by them."""

from __future__ import annotations

from collections.abc import Container, Iterable
from pathlib import Path, PurePosixPath

from worker.inputs.file_inputs import FileInput, texts
from worker.inputs.paths.name_check import may_lie_inside
from worker.workflow.catalog.path_inputs import PathUse


def inside_own_folder(
    places: Iterable[FileInput], own: Container[str], folder: Path
) -> dict[tuple[str, str], dict[str, str]]:
    """Return the path that takes the place of each such text, by its input. Nodes find there what they find nowhere."""
    return {
        place.key: {
            text: str(folder / text.replace("\\", "/"))
            for text in texts(place.value)
            if text not in own and may_lie_inside(place, text)
        }
        for place in places
        if place.uploads and place.path
    }


def inside_output(places: Iterable[FileInput], output: Path) -> dict[tuple[str, str], dict[str, str]]:
    """Return the path in the output folder for each relative one that a node writes into, by its input.

    Some nodes take a relative path for one in the current folder, where a sandboxed ComfyUI can't write. The name that
    a class gives such an input by itself may have a meaning of its own (`output` of SaveImageKJ), and stays.
    """
    return {
        place.key: {
            text: str(output / text.replace("\\", "/"))
            for text in texts(place.value)
            if text.strip() and not PurePosixPath(text).is_absolute() and (text != place.default or "/" in text)
        }
        for place in places
        if place.use is PathUse.WRITE
    }
