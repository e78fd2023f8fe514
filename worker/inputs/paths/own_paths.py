"""Replacement of relative paths that name none of the job's files."""

from __future__ import annotations

from collections.abc import Container, Iterable
from pathlib import Path, PurePosixPath

from worker.inputs.file_inputs import FileInput, texts
from worker.inputs.paths.name_check import may_be_in_own_folder
from worker.workflow.catalog.path_inputs import PathUse


def paths_in_own_folder(
    node_inputs: Iterable[FileInput], own_texts: Container[str], folder: Path
) -> dict[tuple[str, str], dict[str, str]]:
    """Return replacements for texts in path inputs, by input: each becomes a path in the job's own folder.

    No file exists there, so the node reports a missing file.
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
    """Return replacements for relative paths that nodes write to, by input: each becomes a path in the output folder.

    Some nodes resolve a relative path in the current folder, where a sandboxed ComfyUI cannot write. The default value
    of a class is not replaced, because it may have a special meaning (`output` of SaveImageKJ).
    """
    return {
        node_input.key: {
            text: str(output / text.replace("\\", "/"))
            for text in texts(node_input.value)
            if text.strip() and not PurePosixPath(text).is_absolute() and (text != node_input.default or "/" in text)
        }
        for node_input in node_inputs
        if node_input.use is PathUse.WRITE
    }
