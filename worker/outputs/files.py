"""The output files of jobs. Each file is copied or linked into the job's own folder when its node has finished."""

from __future__ import annotations

import asyncio
import errno
import hashlib
import mimetypes
import os
import shutil
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

from worker.engine.protocol.api import ComfyApi, FileRef
from worker.engine.protocol.messages import Preview
from worker.errors import NotFound, OutputMissing, OutputNotAllowed, OutputUnreadable
from worker.inputs.store import stale_folders
from worker.job import Job, Output
from worker.media_facts import MediaFacts, media_facts
from worker.outputs.kinds import kind_of, mime_of
from worker.outputs.overwriting import may_be_overwritten
from worker.outputs.reports import NodeOutput, ReportedText, ReportedValue
from worker.outputs.run_files import is_output_class
from worker.outputs.written_files import WrittenFiles
from worker.workflow.catalog.catalog import Catalog
from worker.workflow.prompt import Prompt

HASHED_AT_ONCE = 256 * 1024
"""Files up to this many bytes are hashed on the event loop, because starting a thread takes longer."""
LONGEST_NAME = 240
"""Most bytes of a file name. File systems allow 255, and a number is put before the name."""
SWEEP_S = 30.0
"""Seconds between searches for files that no prompt wrote."""
JSON = "application/json"
HEAD = 4096
"""Bytes at the beginning of an image that contain its size."""


@dataclass(frozen=True, slots=True)
class OutputSource:
    """Access to the files of one engine: by its API, and in its folders if this process can access them.

    `starts_engine` is True if this worker starts the engine, so that no other program writes to its folders.
    """

    api: ComfyApi
    output: Path | None = None
    temp: Path | None = None
    starts_engine: bool = False

    def tracker(self) -> WrittenFiles:
        """Return a tracker of the files in the engine's accessible folders."""
        folders = {"output": self.output, "temp": self.temp}
        return WrittenFiles(
            {name: root for name, root in folders.items() if root is not None}, starts_engine=self.starts_engine
        )


class Outputs:
    """Collects the output files of jobs: by hard link if ComfyUI's folder is accessible, otherwise over HTTP.

    `sources` are the engines by name. The files of a job are those of the engine that ran it (`job.engine`).
    """

    def __init__(self, sources: Mapping[str, OutputSource], folder: Path) -> None:
        self._apis = {name: source.api for name, source in sources.items()}
        self._trackers = {name: source.tracker() for name, source in sources.items()}
        self._first_engine = next(iter(sources))
        self._outputs_folder = folder

    def tracker_of(self, job: Job) -> WrittenFiles:
        """Return the tracker of the files of the engine that ran a job."""
        return self._trackers[self._engine_name(job)]

    def _engine_name(self, job: Job) -> str:
        """Return the name of the engine that ran a job. It is the first one if the job does not name any of them."""
        return job.engine if job.engine in self._trackers else self._first_engine

    def may_write_unreported(self, engine: str, prompt: Prompt, catalog: Catalog | None) -> bool:
        """Return True if an output node of the prompt may write files that it does not report."""
        tracker = self._trackers[engine]
        if not tracker.roots:
            return False
        classes = {node["class_type"] for node in prompt.values()}
        uncertain = (classes - tracker.reporting_classes) | (classes & tracker.unreporting_classes)
        return any(is_output_class(name, catalog) for name in uncertain)

    async def sweep_periodically(self) -> None:
        """Call `sweep` every SWEEP_S seconds, without end."""
        while True:
            await asyncio.sleep(SWEEP_S)
            self.sweep()

    def sweep(self) -> None:
        """Remove files in the engines' folders that belong to no job, or that no job will collect."""
        for tracker in self._trackers.values():
            tracker.sweep()

    def make_folder(self, job: Job) -> None:
        """Create the job's folder, unless it exists.

        Call this while ComfyUI computes: on a busy disk it takes a millisecond, by which the response would be later.
        """
        folder = self.folder(job)
        if not folder.is_dir():
            folder.mkdir(parents=True, exist_ok=True)

    def folder(self, job: Job) -> Path:
        """Return the folder with the job's files."""
        return self._outputs_folder / job.folder

    def path(self, job: Job, output: Output) -> Path:
        """Return the path of a file in the job's folder."""
        return self.folder(job) / kept_name(output.index, output.filename)

    async def store_item(self, job: Job, index: int, report: NodeOutput) -> Output:
        """Store one reported item, and return it as an output of the job.

        For a file, raises OutputMissing, OutputNotAllowed and OutputUnreadable, and OSError if it cannot be stored.
        """
        item = report.item
        if isinstance(item, ReportedText | ReportedValue):
            return _text_output(index, report.node_id, item)
        name = PurePosixPath(item.filename.replace("\\", "/")).name
        output = Output(
            index, report.node_id, kind_of(name), name, item.subfolder, item.folder, report.key, mime_of(name)
        )
        path = self.path(job, output)
        self.make_folder(job)
        try:
            await self._fetch(job, report.node_id, item, path)
        except ValueError as error:  # no file can have this name
            raise OutputUnreadable(f"{name[:100]!r} cannot be stored: {error}") from error
        except OSError:
            path.unlink(missing_ok=True)  # it may be incomplete
            raise
        if job.request.raw:
            return with_media_facts(path, output)
        if path.stat().st_size > HASHED_AT_ONCE:
            return await asyncio.to_thread(with_facts_and_hash, path, output)
        return with_facts_and_hash(path, output)

    async def _fetch(self, job: Job, node_id: str, item: FileRef, path: Path) -> None:
        """Link, copy or download a reported file to `path`."""
        tracker = self.tracker_of(job)
        root = tracker.roots.get(item.folder)
        if root is None:
            await self._apis[self._engine_name(job)].download(item, path)
            return
        source = resolve(root, item)
        tracker.record_report(item)  # before the link, which changes the file's ctime
        if may_be_overwritten(job, node_id, item.filename) or not link(source, path):
            await asyncio.to_thread(shutil.copyfile, source, path)

    async def hashed(self, job: Job, output: Output) -> Output:
        """Return the output with its hash, which is computed if `store_item` has left it out.

        Raises NotFound if the file no longer exists.
        """
        if output.sha256 or output.text is not None:
            return output
        try:
            return await asyncio.to_thread(with_facts_and_hash, self.path(job, output), output)
        except FileNotFoundError:
            raise NotFound(f"the outputs of job {job.id!r} no longer exist") from None

    async def store_image(self, job: Job, index: int, preview: Preview) -> Output:
        """Store an image that was sent over the WebSocket only (SaveImageWebsocket)."""
        extension = mimetypes.guess_extension(preview.mime) or ".png"
        output = Output(index, preview.node, "image", f"websocket-{index}{extension}", mime=preview.mime)
        return await asyncio.to_thread(_write, self.path(job, output), preview.data, output)

    def size(self, job: Job) -> int:
        """Return the bytes that a job uses on disk: its own folder, and files that exist only in ComfyUI's folders."""
        tracker = self.tracker_of(job)
        in_engine = sum(file.size for file in job.files if tracker.is_only_copy(file))
        try:
            with os.scandir(self._outputs_folder / job.folder) as entries:
                return in_engine + sum(entry.stat().st_size for entry in entries)
        except OSError:
            return in_engine

    def stale_folders(self, kept: Collection[str]) -> list[Path]:
        """Return the folders of jobs that no longer exist. `kept` are the folders of restored jobs. Blocks."""
        return stale_folders(self._outputs_folder, kept)

    async def remove(self, job: Job) -> None:
        """Remove all files of a job, including those that it wrote to ComfyUI's folders."""
        tracker = self.tracker_of(job)
        for file in job.files:
            tracker.forget(file)
        await asyncio.to_thread(self._remove, job)

    def _remove(self, job: Job) -> None:
        """Remove all files of a job. Blocks."""
        tracker = self.tracker_of(job)
        for file in job.files:
            tracker.remove(file)
        shutil.rmtree(self._outputs_folder / job.folder, ignore_errors=True)


def kept_name(index: int, filename: str) -> str:
    """Return the name of an output in its job's folder: its number and its name. Of a long name the end is kept."""
    data = filename.encode("utf-8", "surrogateescape")
    if len(data) > LONGEST_NAME:
        filename = data[-LONGEST_NAME:].decode("utf-8", "ignore")
    return f"{index}-{filename}"


def _text_output(index: int, node_id: str, item: ReportedText | ReportedValue) -> Output:
    """Return the output for a reported text or value."""
    if isinstance(item, ReportedText):
        text, kind, mime = item.text, "text", "text/plain"
    else:
        text, kind, mime = item.json, "json", JSON
    return Output(index, node_id, kind, "", mime=mime, size=len(text.encode()), text=text)


def resolve(root: Path, item: FileRef) -> Path:
    """Return the path of a reported file in the folder `root`. Symbolic links are followed.

    Raises OutputMissing if there is no such file, OutputNotAllowed if it is outside of the folder, and OutputUnreadable
    if it is not a regular file or its path cannot be read.
    """
    try:
        source = root.joinpath(item.subfolder, item.filename).resolve()
        if not source.is_relative_to(root):
            raise OutputNotAllowed(f"{item.filename!r} is not inside ComfyUI's {item.folder} folder")
        if not source.exists():
            raise OutputMissing(f"ComfyUI reported {item.filename!r}, but the file does not exist")
        if not source.is_file():
            raise OutputUnreadable(f"{item.filename!r} is not a file")
    except (OSError, ValueError, RuntimeError) as error:  # a name that is too long, a null byte, a cycle of links
        raise OutputUnreadable(f"{item.filename[:100]!r} cannot be read: {error}") from error
    return source


def link(source: Path, path: Path) -> bool:
    """Hard-link a file, because ComfyUI may delete or overwrite it at any time.

    Return False if the file system cannot link it, so that the caller has to copy it. Raises OutputMissing.
    """
    try:
        os.link(source, path)
    except FileNotFoundError as error:
        raise OutputMissing(f"ComfyUI deleted {source.name!r} immediately after it had reported it") from error
    except OSError as error:
        if error.errno not in {errno.EXDEV, errno.EPERM, errno.EMLINK}:
            raise
        return False
    return True


def _write(path: Path, data: bytes, output: Output) -> Output:
    """Write the file of an output, and return the output with size, hash and media facts. Blocks."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return with_facts_and_hash(path, output)


def with_facts_and_hash(path: Path, output: Output) -> Output:
    """Return the output with size, sha256, width, height and duration. The file is read in pieces."""
    with path.open("rb") as file:
        head = file.read(HASHED_AT_ONCE)
        digest, size = hashlib.sha256(head), len(head)
        while piece := file.read(HASHED_AT_ONCE):
            digest.update(piece)
            size += len(piece)
    return replace(output, size=size, sha256=digest.hexdigest(), **_output_facts(media_facts(path, head)))


def with_media_facts(path: Path, output: Output) -> Output:
    """Return the output with size, width, height and duration. Only headers are read, so there is no hash."""
    with path.open("rb") as file:
        head = file.read(HEAD)
        return replace(output, size=os.fstat(file.fileno()).st_size, **_output_facts(media_facts(path, head)))


def _output_facts(facts: MediaFacts) -> dict[str, Any]:
    """Return the facts that an output has, by name."""
    return {"width": facts.width, "height": facts.height, "duration_s": facts.duration_s}
