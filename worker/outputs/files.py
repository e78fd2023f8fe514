"""The outputs of jobs: each file taken when its node has finished, into the job's own folder."""

from __future__ import annotations

import asyncio
import errno
import hashlib
import mimetypes
import os
import shutil
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path, PurePosixPath

from worker.engine.protocol.api import ComfyApi, FileRef
from worker.engine.protocol.messages import Preview
from worker.errors import NotFound, OutputMissing, OutputNotAllowed, OutputUnreadable
from worker.inputs.store import stale_folders
from worker.job import Job, Output
from worker.outputs.kinds import kind_of, mime_of
from worker.outputs.media_facts import media_facts
from worker.outputs.overwriting import may_be_overwritten
from worker.outputs.reports import NodeOutput, Text, Value
from worker.outputs.run_files import is_output_class
from worker.outputs.written_files import WrittenFiles
from worker.workflow.catalog.catalog import Catalog
from worker.workflow.prompt import Prompt

HASHED_AT_ONCE = 256 * 1024
"""Bytes up to which a file is hashed where it is: a thread would take longer to begin."""
LONGEST_NAME = 240
"""Bytes of a name that are kept: file systems take 255, and a number stands before it."""
SWEEP_S = 30.0
"""How often files that no prompt wrote are looked for while nothing runs."""
JSON = "application/json"
HEAD = 4096
"""Bytes in which a picture says how large it is."""


@dataclass(frozen=True, slots=True)
class OutputSource:
    """Where the files of one engine are: behind its API, and in its folders where this process can reach them.

    `ours`: this worker starts the engine, and nobody else writes there.
    """

    api: ComfyApi
    output: Path | None = None
    temp: Path | None = None
    ours: bool = False

    def files(self) -> WrittenFiles:
        found = {"output": self.output, "temp": self.temp}
        return WrittenFiles({name: root for name, root in found.items() if root is not None}, ours=self.ours)


class Outputs:
    """Takes files by hard link where ComfyUI's folder is shared, over HTTP where it isn't.

    `sources` are those of the engines by their names; the files of a job are where it ran (`job.engine`).
    """

    def __init__(self, sources: Mapping[str, OutputSource], folder: Path) -> None:
        self._apis = {name: source.api for name, source in sources.items()}
        self._files = {name: source.files() for name, source in sources.items()}
        self._first = next(iter(sources))
        self._folder = folder

    def files(self, job: Job) -> WrittenFiles:
        """The folders of the engine that ran the job; a job of a worker that had one engine only names none."""
        return self._files[job.engine if job.engine in self._files else self._first]

    def may_write_unreported(self, engine: str, prompt: Prompt, catalog: Catalog | None) -> bool:
        """Whether an output node of the prompt is not known to report all that it writes."""
        files = self._files[engine]
        classes = {node["class_type"] for node in prompt.values()}
        unsure = (classes - files.talking) | (classes & files.silent)
        return bool(files.roots) and any(is_output_class(name, catalog) for name in unsure)

    async def watch(self) -> None:
        """Sweep now and then."""
        while True:
            await asyncio.sleep(SWEEP_S)
            self.sweep()

    def sweep(self) -> None:
        """Remove what no job has written in time, and what no job will collect any more."""
        for files in self._files.values():
            files.sweep()

    def make_folder(self, job: Job) -> None:
        """Early, while ComfyUI computes, so that nobody waits for it: a busy disk takes a millisecond."""
        folder = self.folder(job)
        if not folder.is_dir():
            folder.mkdir(parents=True, exist_ok=True)

    def folder(self, job: Job) -> Path:
        """Where the job's files are kept, each as its number and its name."""
        return self._folder / job.folder

    def path(self, job: Job, output: Output) -> Path:
        return self.folder(job) / kept_name(output.index, output.filename)

    async def take(self, job: Job, index: int, report: NodeOutput) -> Output:
        """One reported item as an output.

        Raises OutputMissing, OutputNotAllowed and OutputUnreadable for a file, OSError where it can't be kept.
        """
        item = report.item
        if isinstance(item, Text | Value):
            return _words(index, report.node_id, item)
        name = PurePosixPath(item.filename.replace("\\", "/")).name
        output = Output(
            index, report.node_id, kind_of(name), name, item.subfolder, item.folder, report.key, mime_of(name)
        )
        path = self.path(job, output)
        self.make_folder(job)
        try:
            await self._fetch(job, report.node_id, item, path)
        except ValueError as error:  # no file can have this name
            raise OutputUnreadable(f"{name[:100]!r} can't be kept: {error}") from error
        except OSError:
            path.unlink(missing_ok=True)  # half of it
            raise
        if job.request.raw:
            return unhashed(path, output)
        if path.stat().st_size > HASHED_AT_ONCE:
            return await asyncio.to_thread(measured, path, output)
        return measured(path, output)

    async def _fetch(self, job: Job, node_id: str, item: FileRef, path: Path) -> None:
        files = self.files(job)
        root = files.roots.get(item.folder)
        if root is None:
            await self._apis[job.engine if job.engine in self._apis else self._first].download(item, path)
            return
        there = find(root, item)
        files.report(item)  # before it is linked, which changes its time
        if may_be_overwritten(job, node_id, item.filename) or not link(there, path):
            await asyncio.to_thread(shutil.copyfile, there, path)

    async def hashed(self, job: Job, output: Output) -> Output:
        """Return the output with its hash, which a job that is answered with a file does not wait for.

        Raises NotFound for a file that is gone.
        """
        if output.sha256 or output.text is not None:
            return output
        try:
            return await asyncio.to_thread(measured, self.path(job, output), output)
        except FileNotFoundError:
            raise NotFound(f"outputs of job {job.id!r} are gone") from None

    async def keep(self, job: Job, index: int, preview: Preview) -> Output:
        """A picture that came over the WebSocket only (SaveImageWebsocket), kept like a file."""
        extension = mimetypes.guess_extension(preview.mime) or ".png"
        output = Output(index, preview.node, "image", f"websocket-{index}{extension}", mime=preview.mime)
        return await asyncio.to_thread(_write, self.path(job, output), preview.data, output)

    def size(self, job: Job) -> int:
        """Bytes that the job takes, in whatever formats its files are kept, with what it left beside them."""
        files = self.files(job)
        left = sum(file.size for file in job.files if files.only_there(file))
        try:
            with os.scandir(self._folder / job.folder) as kept:
                return left + sum(file.stat().st_size for file in kept)
        except OSError:
            return left

    def stale_folders(self, kept: Collection[str]) -> list[Path]:
        """Return the folders of jobs that died with an earlier process. Blocks."""
        return stale_folders(self._folder, kept)

    async def remove(self, job: Job) -> None:
        """Everything of the job's, what it wrote into ComfyUI's folders included."""
        files = self.files(job)
        for file in job.files:
            files.forget(file)
        await asyncio.to_thread(self._remove, job)

    def _remove(self, job: Job) -> None:
        files = self.files(job)
        for file in job.files:
            files.remove(file)
        shutil.rmtree(self._folder / job.folder, ignore_errors=True)


def kept_name(index: int, filename: str) -> str:
    """Return the name of an output in its job's folder: of a name that is too long with the number, the end."""
    data = filename.encode("utf-8", "surrogateescape")
    if len(data) > LONGEST_NAME:
        filename = data[-LONGEST_NAME:].decode("utf-8", "ignore")
    return f"{index}-{filename}"


def _words(index: int, node_id: str, item: Text | Value) -> Output:
    text, kind, mime = (item.text, "text", "text/plain") if isinstance(item, Text) else (item.json, "json", JSON)
    return Output(index, node_id, kind, "", mime=mime, size=len(text.encode()), text=text)


def find(root: Path, item: FileRef) -> Path:
    """The file that ComfyUI reports, inside its folder. Raises OutputMissing, OutputNotAllowed, OutputUnreadable."""
    try:
        source = root.joinpath(item.subfolder, item.filename).resolve()
        if not source.is_relative_to(root):
            raise OutputNotAllowed(f"{item.filename!r} is not inside ComfyUI's {item.folder} folder")
        if not source.exists():
            raise OutputMissing(f"ComfyUI reported {item.filename!r}, and the file is not there")
        if not source.is_file():
            raise OutputUnreadable(f"{item.filename!r} is not a file")
    except (OSError, ValueError, RuntimeError) as error:  # too long a name, a null byte, a circle of links
        raise OutputUnreadable(f"{item.filename[:100]!r} can't be read: {error}") from error
    return source


def link(source: Path, path: Path) -> bool:
    """The job holds a link of its own, because ComfyUI may delete or overwrite the file at any time.

    False where the file has to be copied: on another file system, or one without hard links. Raises OutputMissing.
    """
    try:
        os.link(source, path)
    except FileNotFoundError as error:
        raise OutputMissing(f"ComfyUI deleted {source.name!r} as soon as it had reported it") from error
    except OSError as error:
        if error.errno not in {errno.EXDEV, errno.EPERM, errno.EMLINK}:
            raise
        return False
    return True


def _write(path: Path, data: bytes, output: Output) -> Output:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return measured(path, output)


def measured(path: Path, output: Output) -> Output:
    """With size, hash and, where they apply, width, height and duration; reads the file in pieces."""
    with path.open("rb") as file:
        head = file.read(HASHED_AT_ONCE)
        digest, size = hashlib.sha256(head), len(head)
        while piece := file.read(HASHED_AT_ONCE):
            digest.update(piece)
            size += len(piece)
    return replace(output, size=size, sha256=digest.hexdigest(), **asdict(media_facts(path, head)))


def unhashed(path: Path, output: Output) -> Output:
    """With size and, where they apply, width, height and duration; reads only as much of the file as says so."""
    with path.open("rb") as file:
        head = file.read(HEAD)
        return replace(output, size=os.fstat(file.fileno()).st_size, **asdict(media_facts(path, head)))
