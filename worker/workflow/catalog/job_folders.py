"""Removes the names of job folders in ComfyUI's input folder from what clients see.

Some node packs list these folders in their choices, but the names are secret.
"""

from __future__ import annotations

import re
from typing import Any

from worker.workflow.json_value import Json, JsonObject

JOB_FOLDER = re.compile(r"job-[0-9a-f]{32}", re.IGNORECASE)
_NAME = JOB_FOLDER.pattern
_QUOTED = "|".join(rf"{quote}[^{quote}]*{_NAME}[^{quote}]*{quote}" for quote in "'\"")
_LIST_ENTRY = re.compile(rf"(?:,\s)?(?:{_QUOTED})(?=,|\s*\])|(?:{_QUOTED}),\s", re.IGNORECASE)
"""An entry of a Python list inside a text, with the comma before or after it."""
_LEFT_COMMA = re.compile(r"\[,\s")
_FOLDER_IN_PATH = re.compile(rf"{_NAME}[/\\]?", re.IGNORECASE)


def text_without_job_folders(text: str) -> str:
    """Return a text without names of job folders.

    An entry of a Python list that names such a folder is removed. In other places, only the folder is removed from the
    path, so that the file name stays.
    """
    if JOB_FOLDER.search(text) is None:
        return text
    without_entries = _LEFT_COMMA.sub("[", _LIST_ENTRY.sub("", text))  # `[, 'a']` can be left of a list
    return _FOLDER_IN_PATH.sub("", without_entries)


def response_without_job_folders(response: Any) -> Any:  # noqa: ANN401 - JSON
    """Return a decoded response of ComfyUI without names of job folders, at any depth."""
    match response:
        case str():
            return text_without_job_folders(response)
        case list():
            return [response_without_job_folders(item) for item in response if not _names_job_folder(item)]
        case dict():
            return {key: response_without_job_folders(item) for key, item in response.items()}
    return response


def class_without_job_folders(info: JsonObject) -> tuple[JsonObject, frozenset[str]]:
    """Return (class, inputs) for a class of `GET /object_info`.

    The class is returned without names of job folders, and the inputs are those in whose choices such a name was.
    """
    inputs = info.get("input")
    if not isinstance(inputs, dict):
        return info, frozenset()
    sections = [section for section in inputs.values() if isinstance(section, dict)]
    definitions = [item for section in sections for item in section.items()]
    file_inputs = {name for name, definition in definitions if _contains_job_folder(definition)}
    if not file_inputs:
        return info, frozenset()
    return {**info, "input": response_without_job_folders(inputs)}, frozenset(file_inputs)


def _names_job_folder(item: Json) -> bool:
    """Return whether a choice names the folder of a job. Some packs write a choice as `{"content": name, ...}`."""
    if isinstance(item, dict):
        item = item.get("content")
    return isinstance(item, str) and JOB_FOLDER.search(item) is not None


def _contains_job_folder(definition: Json) -> bool:
    """Return whether an input, at any depth, names the folder of a job."""
    match definition:
        case str():
            return JOB_FOLDER.search(definition) is not None
        case list():
            return any(map(_contains_job_folder, definition))
        case dict():
            return any(_contains_job_folder(item) for item in definition.values())
    return False
