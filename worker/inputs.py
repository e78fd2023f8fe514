"""Files that come with a request, on their way into ComfyUI's input folder."""

from __future__ import annotations

import asyncio
import base64
import binascii
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

from worker.comfyui.api import ComfyApi
from worker.errors import Detail, InvalidInputFile
from worker.graph.json_value import Json
from worker.graph.prompt import Prompt
from worker.job import InputFile, Job, JobRequest

NAME = re.compile(r"[^/\\\x00-\x1f]{1,200}")
DATA_URI = re.compile(r"data:([\w.+-]+/[\w.+-]+)?(;[\w.+=-]+)*;base64,", re.ASCII)
EXTENSIONS = {
    "image/jpeg": ".jpg",
    "image/webp": ".webp",
    "image/gif": ".gif",
    "video/mp4": ".mp4",
    "audio/mpeg": ".mp3",
}


def read_input(name: str, text: str) -> InputFile:
    """An input file from base64 or a data URI. Raises InvalidInputFile."""
    check_name(name)
    uri = DATA_URI.match(text)
    try:
        data = base64.b64decode(text[uri.end() :] if uri else text, validate=True)
    except (binascii.Error, ValueError) as error:
        hint = "URLs are not fetched by this version" if "://" in text[:12] else "send base64 or a data URI"
        raise InvalidInputFile(f"input {name!r} is not base64: {hint}", [Detail(str(error), input=name)]) from None
    if not data:
        raise InvalidInputFile(f"input {name!r} is empty")
    return InputFile(name, data)


def check_name(name: str) -> None:
    """A plain file name. Raises InvalidInputFile: anything like a path could leave the job's own folder."""
    if not NAME.fullmatch(name) or name in {".", ".."}:
        raise InvalidInputFile(
            f"{name!r} can't be the name of an input file", [Detail("use a plain file name", input=name)]
        )


def files_by_text(request: JobRequest, prompt: Prompt) -> dict[str, InputFile]:
    """Every file of a request, by the text that stands for it in the prompt: its name, or a data URI in its place."""
    files = {file.name: file for file in request.inputs}
    for text in _texts(prompt):
        uri = DATA_URI.match(text)
        if uri and text not in files:
            name = f"inline-{len(files)}{EXTENSIONS.get(uri[1], '.png')}"
            files[text] = read_input(name, text)
    return files


def _texts(prompt: Prompt) -> Iterator[str]:
    return (value for node in prompt.values() for value in node["inputs"].values() if isinstance(value, str))


class Inputs:
    """Puts a job's files into a folder of the job's own, and points the prompt to them."""

    def __init__(self, api: ComfyApi, shared: Path | None) -> None:
        self._api = api
        self._shared = shared
        self._stored: set[str] = set()
        """Folders that were made in the shared one."""

    async def prepare(self, job: Job, prompt: Prompt) -> Prompt:
        """The prompt with every value that is exactly the name of one of the files replaced by where the file lies.

        Raises InvalidInputFile, EngineUnavailable.
        """
        files = files_by_text(job.request, prompt)
        if not files:
            return prompt
        stored: dict[str, Json] = {text: await self._store(job, file) for text, file in files.items()}
        return {
            node_id: {**node, "inputs": {key: _moved(value, stored) for key, value in node["inputs"].items()}}
            for node_id, node in prompt.items()
        }

    async def _store(self, job: Job, file: InputFile) -> str:
        if self._shared is None:
            return await self._api.upload(job.folder, file.name, file.data)
        self._stored.add(job.folder)
        await asyncio.to_thread(_write, self._shared / job.folder, file.name, file.data)
        return f"{job.folder}/{file.name}"

    async def remove(self, job: Job) -> None:
        """Forget a job's files, where they can be reached: ComfyUI has no route that deletes an upload."""
        if self._shared is not None and job.folder in self._stored:
            self._stored.remove(job.folder)
            await asyncio.to_thread(shutil.rmtree, self._shared / job.folder, ignore_errors=True)


def _moved(value: Json, stored: dict[str, Json]) -> Json:
    return stored.get(value, value) if isinstance(value, str) else value


def _write(folder: Path, name: str, data: bytes) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(data)
