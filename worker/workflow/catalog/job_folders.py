"""Folders of jobs in ComfyUI's input folder: classes of packs list them, and no client may learn their names."""

from __future__ import annotations

import re
from typing import Any

from worker.workflow.json_value import Json, JsonObject

JOB_FOLDER = re.compile(r"job-[0-9a-f]{32}", re.IGNORECASE)
_NAME = JOB_FOLDER.pattern
_QUOTED = "|".join(rf"{quote}[^{quote}]*{_NAME}[^{quote}]*{quote}" for quote in "'\"")
_LISTED = re.compile(rf"(?:,\s)?(?:{_QUOTED})(?=,|\s*\])|(?:{_QUOTED}),\s", re.IGNORECASE)
"""An entry of a list that Python wrote into a sentence, with the comma before it or after it."""
_EMPTIED = re.compile(r"\[,\s")
_FOLDER = re.compile(rf"{_NAME}[/\\]?", re.IGNORECASE)


def text_without_job_folders(text: str) -> str:
    """Return a sentence without the folders of jobs: entries of its lists go, and a file keeps its name alone."""
    if JOB_FOLDER.search(text) is None:
        return text
    return _FOLDER.sub("", _EMPTIED.sub("[", _LISTED.sub("", text)))


def response_without_job_folders(answer: Any) -> Any:  # noqa: ANN401 - JSON
    """Return a refusal of ComfyUI's without them, in its lists as in its sentences."""
    match answer:
        case str():
            return text_without_job_folders(answer)
        case list():
            return [response_without_job_folders(item) for item in answer if not _names_one(item)]
        case dict():
            return {key: response_without_job_folders(item) for key, item in answer.items()}
    return answer


def class_without_job_folders(info: JsonObject) -> tuple[JsonObject, frozenset[str]]:
    """Return a class of `GET /object_info` without them, and the inputs whose choices listed one."""
    inputs = info.get("input")
    if not isinstance(inputs, dict):
        return info, frozenset()
    listing = {
        name
        for section in inputs.values()
        if isinstance(section, dict)
        for name, written in section.items()
        if _has_one(written)
    }
    if not listing:
        return info, frozenset()
    return {**info, "input": response_without_job_folders(inputs)}, frozenset(listing)


def _names_one(item: Json) -> bool:
    """True for a choice, and for an object that a pack writes in its place (`{"content": name, "image": ...}`)."""
    if isinstance(item, dict):
        item = item.get("content")
    return isinstance(item, str) and JOB_FOLDER.search(item) is not None


def _has_one(written: Json) -> bool:
    match written:
        case str():
            return JOB_FOLDER.search(written) is not None
        case list():
            return any(map(_has_one, written))
        case dict():
            return any(_has_one(item) for item in written.values())
    return False
