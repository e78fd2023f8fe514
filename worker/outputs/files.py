"""What ComfyUI reports as typed outputs, by kind: each file taken when its node has finished, into the job's folder."""

from __future__ import annotations

import asyncio
import errno
import hashlib
import mimetypes
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

from worker.engine.protocol.api import ComfyApi, FileRef
from worker.engine.protocol.messages import Preview
from worker.errors import OutputMissing
from worker.job import Job, Output
from worker.outputs.media_facts import media_facts

HASHED_AT_ONCE = 256 * 1024
"""Bytes up to which a file is hashed where it is: a thread would take longer to begin."""
KINDS = {
    **dict.fromkeys((".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp", ".tiff", ".avif", ".svg", ".exr"), "image"),
    ".apng": "image",
    **dict.fromkeys((".mp4", ".m4v", ".webm", ".mov", ".mkv", ".avi"), "video"),
    **dict.fromkeys((".flac", ".mp3", ".opus", ".wav", ".ogg", ".m4a", ".aac"), "audio"),
    **dict.fromkeys((".glb", ".gltf", ".obj", ".stl", ".ply", ".fbx", ".usdz", ".splat", ".spz", ".ksplat"), "3d"),
    **dict.fromkeys((".txt", ".md", ".json", ".csv", ".srt"), "document"),
    ".latent": "latent",
}
MIME = {
    ".webp": "image/webp",
    ".avif": "image/avif",
    ".flac": "audio/flac",
    ".opus": "audio/opus",
    ".glb": "model/gltf-binary",
}


@dataclass(frozen=True, slots=True)
class Text:
    """What a node says in words (PreviewAny, SaveText). `place` is its number among the node's, which may be equal."""

    text: str
    place: int = 0


@dataclass(frozen=True, slots=True)
class NodeOutput:
    """One thing a node reports, and the key it was under."""

    node_id: str
    key: str
    item: FileRef | Text

    @property
    def saved(self) -> bool:
        """Whether it is a file outside of ComfyUI's temp folder, where previews are."""
        return isinstance(self.item, FileRef) and self.item.folder == "output"

    @property
    def preview(self) -> bool:
        return isinstance(self.item, FileRef) and not self.saved


def node_outputs(node_id: str, node_output: Mapping[str, Any]) -> Iterator[NodeOutput]:
    """Everything one node reports, under whatever key: packs invent their own, but a file always has a `filename`."""
    for key, items in node_output.items():
        for place, item in enumerate(_listed(key, items)):
            if isinstance(item, Mapping) and isinstance(item.get("filename"), str) and item["filename"]:
                folder = str(item.get("type") or "output")
                yield NodeOutput(node_id, key, FileRef(item["filename"], str(item.get("subfolder") or ""), folder))
            elif isinstance(item, str) and key == "text":
                yield NodeOutput(node_id, key, Text(item, place))


def _listed(key: str, items: object) -> Sequence[object]:
    """What a key holds. ComfyUI makes letters of a text that a node reports without a list around it."""
    if not isinstance(items, list | tuple):
        return ()
    if key == "text" and items and all(isinstance(item, str) and len(item) == 1 for item in items):
        return ["".join(items)]
    return items


def kind_of(filename: str) -> str:
    """image, video, audio, 3d, latent, document or file, by extension: ComfyUI reports videos under `images`."""
    return KINDS.get(PurePosixPath(filename).suffix.lower(), "file")


def mime_of(filename: str) -> str:
    suffix = PurePosixPath(filename).suffix.lower()
    return MIME.get(suffix) or mimetypes.guess_type(filename)[0] or "application/octet-stream"


@dataclass(frozen=True, slots=True)
class OutputSource:
    """Where the files of one engine are: behind its API, and in its output folder where that is shared."""

    api: ComfyApi
    shared: Path | None = None


class Outputs:
    """Takes files by hard link where ComfyUI's folder is shared, over HTTP where it isn't.

    `sources` are those of the engines by their names; the files of a job are where it ran (`job.engine`).
    """

    def __init__(self, sources: Mapping[str, OutputSource], folder: Path) -> None:
        self._sources = {
            name: replace(source, shared=source.shared and source.shared.resolve()) for name, source in sources.items()
        }
        self._first = next(iter(self._sources.values()))
        self._folder = folder

    def make_folder(self, job: Job) -> None:
        """Early, while ComfyUI computes, so that nobody waits for it: a busy disk takes a millisecond."""
        folder = self.folder(job)
        if not folder.is_dir():
            folder.mkdir(parents=True, exist_ok=True)

    def folder(self, job: Job) -> Path:
        """Where the job's files are kept, each as its number and its name."""
        return self._folder / job.folder

    def path(self, job: Job, output: Output) -> Path:
        return self.folder(job) / f"{output.index}-{output.filename}"

    async def take(self, job: Job, index: int, report: NodeOutput) -> Output:
        """One reported item as an output.

        Raises OutputMissing where ComfyUI does not have the file that it names, OSError where it can't be kept.
        """
        item = report.item
        if isinstance(item, Text):
            size = len(item.text.encode())
            return Output(index, report.node_id, "text", "", mime="text/plain", size=size, text=item.text)
        name = PurePosixPath(item.filename.replace("\\", "/")).name
        output = Output(
            index, report.node_id, kind_of(name), name, item.subfolder, item.folder, report.key, mime_of(name)
        )
        path = self.path(job, output)
        self.make_folder(job)
        try:
            await _fetch(self._source(job), item, path)
        except OSError:
            path.unlink(missing_ok=True)  # half of it
            raise
        if path.stat().st_size > HASHED_AT_ONCE:
            return await asyncio.to_thread(measured, path, output)
        return measured(path, output)

    def _source(self, job: Job) -> OutputSource:
        """Those of the engine that ran the job; a job of a worker that had one engine only names none."""
        return self._sources.get(job.engine or "", self._first)

    async def keep(self, job: Job, index: int, preview: Preview) -> Output:
        """A picture that came over the WebSocket only (SaveImageWebsocket), kept like a file."""
        extension = mimetypes.guess_extension(preview.mime) or ".png"
        output = Output(index, preview.node, "image", f"websocket-{index}{extension}", mime=preview.mime)
        return await asyncio.to_thread(_write, self.path(job, output), preview.data, output)

    def size(self, job: Job) -> int:
        """Bytes that the job's files take, in whatever formats they are kept."""
        try:
            with os.scandir(self._folder / job.folder) as files:
                return sum(file.stat().st_size for file in files)
        except FileNotFoundError:
            return 0

    async def remove(self, job: Job) -> None:
        """Everything of the job's, ComfyUI's own file included where nobody else has it."""
        await asyncio.to_thread(self._remove, job)

    def _remove(self, job: Job) -> None:
        folder = self._folder / job.folder
        shared = self._source(job).shared
        if shared is not None:
            for output in job.outputs:
                for path in folder.glob(f"{output.index}-*"):
                    remove_source(path, shared / output.subfolder, job.created_at)
        shutil.rmtree(folder, ignore_errors=True)


async def _fetch(source: OutputSource, item: FileRef, path: Path) -> None:
    if source.shared is None or item.folder != "output":
        await source.api.download(item, path)
    elif not link(path_there := find(source.shared, item), path):
        await asyncio.to_thread(shutil.copyfile, path_there, path)


def find(shared: Path, item: FileRef) -> Path:
    """The file that ComfyUI reports, inside the shared folder. Raises OutputMissing."""
    source = shared.joinpath(item.subfolder, item.filename).resolve()
    if not source.is_relative_to(shared) or not source.is_file():
        raise OutputMissing(f"ComfyUI reported {item.filename!r} but the file is not there")
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


def remove_source(path: Path, folder: Path, since: float) -> None:
    """Remove the file in ComfyUI's folder that `path` is the only other link to.

    Not one that was there before the job (`since`, epoch seconds): ComfyUI answers from its cache, and an identical
    prompt may have been somebody else's.
    """
    source = folder / path.name.partition("-")[2]
    with suppress(OSError):
        found = path.stat()
        if found.st_nlink == 2 and found.st_mtime >= since and source.samefile(path):
            source.unlink()


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
