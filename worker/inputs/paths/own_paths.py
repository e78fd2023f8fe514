"""Replacement of relative paths that name none of the job's files."""

from __future__ import annotations

from collections.abc import Container, Iterable
from pathlib import Path, PurePosixPath

from worker.inputs.file_inputs import FileInput, texts
from worker.inputs.paths.name_check import may_be_in_own_folder
from worker.workflow.catalog.path_inputs import PathUse
from worker.workflow.json_value import Json


def paths_in_job_folder(
    node_inputs: Iterable[FileInput], own_texts: Container[str], folder: Path
) -> dict[tuple[str, str], dict[str, str]]:
    """Return the replacement of each text in a path input that names none of the job's files, by input.

    The replacement is a path in the job's own folder. No file exists there, so the node reports a missing file.
    """
    return {
        node_input.key: {
            text: str(folder / text.replace("\\", "/"))
            for text in texts(node_input.value)
            if text not in own_texts and may_be_in_own_folder(node_input, text)
        }
        for node_input in node_inputs
        if node_input.accepts_upload and node_input.needs_path
    }


def paths_in_output_folder(node_inputs: Iterable[FileInput], output: Path) -> dict[tuple[str, str], dict[str, str]]:
    """Return the replacement of each relative path that a node writes to, by input.

    The replacement is a path in the output folder. Some nodes resolve a relative path in the current folder, where a
    sandboxed ComfyUI cannot write. The default value of a class is not replaced, because it may have a special meaning
    (`output` of SaveImageKJ).
    """
    return {
        node_input.key: {
            text: str(output / text.replace("\\", "/"))
            for text in texts(node_input.value)
            if _is_relative_path(text, node_input.default)
        }
        for node_input in node_inputs
        if node_input.use is PathUse.WRITE
    }


def _is_relative_path(text: str, default: Json) -> bool:
    """Return True for a relative path. The default value of the class is only one if it contains a slash."""
    if not text.strip() or PurePosixPath(text).is_absolute():
        return False
    return text != default or "/" in text
