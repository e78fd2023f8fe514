"""Relative paths that are none of the job's files: they lead into the job's own folder, whatever they name."""

from __future__ import annotations

from collections.abc import Container, Iterable
from pathlib import Path

from worker.inputs.file_inputs import FileInput, texts
from worker.inputs.paths.name_check import may_lie_inside


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
