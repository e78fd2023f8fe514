"""ComfyUI's folder of models: its files, records of those that this worker fetched, and eviction of the latter."""

from __future__ import annotations

import os
import re
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from hashlib import sha256
from itertools import count
from pathlib import Path

import orjson

from worker.engine.folders.saved_models import OLDER_NAMES
from worker.engine.process.folders import engine_folders
from worker.errors import CacheFull, StartupError
from worker.inputs.paths.path_text import escapes
from worker.settings import Settings
from worker.workflow.templates.template import ModelFile

GIB = 1024**3
WORKER_FOLDER = ".comfy-worker"
"""Folder of the worker's own data, next to the folders of models. ComfyUI lists nothing in it."""
FOLDER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}")
DAMAGED = ".damaged"
"""Suffix of a file that was set aside. ComfyUI does not list files with this suffix."""
STALE_S = 7 * 86400.0
"""Age in seconds at which a partial download is deleted."""


@dataclass(frozen=True, slots=True)
class ModelRecord:
    """A file that this worker fetched.

    The record is valid while size (in bytes) and modification time of the file are unchanged. Otherwise the file
    belongs to the operator.
    """

    folder: str
    file: str
    size: int
    sha256: str
    url: str
    mtime_ns: int

    @property
    def key(self) -> str:
        """Name of the record's file."""
        return key_of(self.folder, self.file)


def models_folder(settings: Settings) -> Path | None:
    """Return the folder of models: WORKER_MODELS_FOLDER, or else the default in the state folder.

    Return None if the setting is empty and ComfyUI is given by URL.
    """
    folders = engine_folders(settings)
    return folders.models if folders else settings.models.folder


def baked_models(settings: Settings) -> Path | None:
    """Return the `models/` folder inside the ComfyUI that this worker starts, or None.

    Its files are used and never changed.
    """
    folders = engine_folders(settings)
    return folders.baked if folders else None


def volume_of(settings: Settings) -> Path | None:
    """Return the folder of models on a network volume that ComfyUI uses, or None. Nothing in it is ever changed."""
    folders = engine_folders(settings)
    return folders.volume if folders else None


def worker_models(settings: Settings) -> ModelsFolder | None:
    """Return the folder of models for these settings, or None if it is not known."""
    root = models_folder(settings)
    quota = int(settings.models.quota * GIB)
    return ModelsFolder(root, quota, baked=baked_models(settings), volume=volume_of(settings)) if root else None


def key_of(folder: str, file: str) -> str:
    """Return a file name that is unique for a folder and a file."""
    return sha256(f"{folder}/{file}".encode()).hexdigest()[:32]


class ModelFiles:
    """Files that a workflow may name, for validation without a running ComfyUI.

    Model files are looked up in a folder, if there is one. Input, output and temp files are assumed to be present.
    """

    def __init__(self, root: Path | None, baked: Path | None = None, volume: Path | None = None) -> None:
        self._folder = ModelsFolder(root, baked=baked, volume=volume) if root else None

    def exists(self, folder: str, name: str) -> bool:
        """Return True if a file is present in one of ComfyUI's folders."""
        if folder in {"input", "output", "temp", ""}:
            return True
        return self._folder is not None and self._folder.size(folder, name) is not None

    def names(self, folder: str) -> list[str]:
        """Return the names of the files in one folder of models."""
        return self._folder.names(folder) if self._folder is not None else []


class ModelsFolder:
    """The folder of models at `root`.

    - `quota`: most bytes of all files that this worker fetched. 0 means no limit.
    - `is_needed`: returns True for a file that must not be evicted.
    - `baked`: a second, read-only folder that is searched first. Only damaged files in it are renamed.
    - `volume`: a third folder that is searched last. Nothing in it is changed, because other workers use it too.
    """

    def __init__(
        self,
        root: Path,
        quota: int = 0,
        is_needed: Callable[[ModelRecord], bool] = lambda _: False,
        baked: Path | None = None,
        volume: Path | None = None,
    ) -> None:
        self.root = root
        self._baked = baked
        self._volume = volume
        self.partial_folder = root / WORKER_FOLDER / "partial"
        self._records = root / WORKER_FOLDER / "records"
        self._quota = quota
        self.is_needed = is_needed
        self._reserved = 0
        """Bytes reserved for downloads in progress."""

    def open(self) -> None:
        """Create the worker's own folders, and delete stale partial downloads. Raises StartupError."""
        try:
            self.partial_folder.mkdir(parents=True, exist_ok=True)
            self._records.mkdir(parents=True, exist_ok=True)
            for path in self.partial_folder.iterdir():
                if path.is_file() and time.time() - path.stat().st_mtime > STALE_S:
                    path.unlink(missing_ok=True)
        except OSError as error:
            raise StartupError(f"{self.root} cannot be used for models: {error.strerror}") from error

    def path(self, folder: str, file: str) -> Path:
        """Return the path of a model file. Raises ValueError for a name that leads out of its folder."""
        if not FOLDER.fullmatch(folder) or escapes(file) or "\\" in file or not file.strip("/. "):
            raise ValueError(f"models/{folder}/{file} is not a valid name of a model file")
        return self.root / folder / file

    def has(self, file: ModelFile) -> bool:
        """Return True if a file is present and has the expected size."""
        size = self.size(file.folder, file.file)
        return size is not None and file.size in {None, size}  # None if the expected size is not known

    def has_foreign(self, file: ModelFile) -> bool:
        """Return True if a file of this name is present that this worker did not fetch and must not replace."""
        fetched_keys = {record.key for record in self.fetched_records()}
        return self.size(file.folder, file.file) is not None and key_of(file.folder, file.file) not in fetched_keys

    def size(self, folder: str, file: str) -> int | None:
        """Return the size of a file in bytes, or None if it is not present."""
        try:
            path = self.find(folder, file)
            return path.stat().st_size if path is not None else None
        except OSError:
            return None

    def names(self, folder: str) -> list[str]:
        """Return the names of the files in one folder of models, as ComfyUI lists them."""
        names: set[str] = set()
        for place in self._places(folder):
            names |= {path.relative_to(place).as_posix() for path in place.rglob("*") if path.is_file()}
        return sorted(names)

    def _places(self, folder: str) -> Iterator[Path]:
        """Yield the places of one folder of models, in the order in which ComfyUI searches them."""
        if self._baked is not None:
            yield self._baked / folder
        yield self.root / folder
        if self._volume is not None:
            yield self._volume / folder
            if older_name := OLDER_NAMES.get(folder):
                yield self._volume / older_name

    def on_volume(self, path: Path) -> bool:
        """Return True if a file is on the network volume, so that it must not be changed."""
        return self._volume is not None and path.is_relative_to(self._volume)

    def find(self, folder: str, file: str) -> Path | None:
        """Return the path of a model file, or None if it is not present. `baked` is searched first, as ComfyUI does."""
        try:
            self.path(folder, file)
        except ValueError:
            return None
        candidates = (place / file for place in self._places(folder))
        return next((candidate for candidate in candidates if candidate.is_file()), None)

    def set_aside(self, path: Path) -> Path:
        """Rename a damaged file so that ComfyUI does not list it, and return its new path. Raises OSError."""
        targets = (path.with_name(f"{path.name}{DAMAGED}{number or ''}") for number in count())
        target = next(target for target in targets if not target.exists())
        path.rename(target)
        return target

    @property
    def free(self) -> int:
        """Free bytes on the disk of the folder, which may not exist yet."""
        root = self.root.absolute()
        nearest_existing = next(path for path in (root, *root.parents) if path.exists())
        return shutil.disk_usage(nearest_existing).free

    def record(self, file: ModelFile, sha256: str) -> None:
        """Record that this worker fetched a file. The file must be in place."""
        stat = self.path(file.folder, file.file).stat()
        record = ModelRecord(file.folder, file.file, stat.st_size, sha256, file.url or "", stat.st_mtime_ns)
        target = self._records / f"{record.key}.json"
        draft = target.with_suffix(".new")
        draft.write_bytes(orjson.dumps(asdict(record)))
        draft.replace(target)

    def record_use(self, record: ModelRecord) -> None:
        """Record that a model was used just now, for the eviction order."""
        os.utime(self._records / f"{record.key}.json")

    def fetched_records(self) -> list[ModelRecord]:
        """Return the files that this worker fetched, least recently used first. Invalid records are deleted."""
        by_last_use = sorted(self._read_valid_records(), key=lambda item: item[0])
        return [record for _, record in by_last_use]

    def reserve_space(self, size: int) -> None:
        """Reserve `size` bytes that are not on the disk yet, as `reserve` does.

        Raises CacheFull also if the disk has too little free space.
        """
        self.reserve(size)
        if size > self.free:
            self.release(size)
            raise CacheFull(f"the disk has too little free space for {size} more bytes of models")

    def reserve(self, size: int) -> None:
        """Reserve `size` bytes for a download. Fetched files are evicted if the quota requires it. Raises CacheFull."""
        if self._quota:
            self._evict(size)
        self._reserved += size

    def release(self, size: int) -> None:
        """Release reserved bytes, after the download failed or its file was recorded."""
        self._reserved -= size

    def _evict(self, size: int) -> None:
        """Delete fetched files that no job needs until `size` more bytes fit into the quota. Raises CacheFull."""
        fetched = self.fetched_records()
        used = sum(record.size for record in fetched) + self._reserved
        evictable = [record for record in fetched if not self.is_needed(record)]
        evictable_bytes = sum(record.size for record in evictable)
        if used - evictable_bytes + size > self._quota:
            raise CacheFull("the models that are needed fill the space for models (WORKER_MODELS_QUOTA_GIB)")
        for record in evictable:
            if used + size <= self._quota:
                return
            self.path(record.folder, record.file).unlink(missing_ok=True)
            self._delete_record(record.key)
            used -= record.size

    def _read_valid_records(self) -> Iterator[tuple[float, ModelRecord]]:
        """Yield the time of last use and the record of each file that is unchanged since it was fetched.

        Delete the other records.
        """
        for path in self._records.glob("*.json"):
            try:
                last_use = path.stat().st_mtime
                record = ModelRecord(**orjson.loads(path.read_bytes()))
                stat = self.path(record.folder, record.file).stat()
            except (OSError, ValueError, TypeError):
                self._delete_record(path.stem)
                continue
            if (stat.st_size, stat.st_mtime_ns) == (record.size, record.mtime_ns):
                yield last_use, record
            else:
                self._delete_record(path.stem)

    def _delete_record(self, key: str) -> None:
        """Delete a record, without its file. Errors are ignored."""
        with suppress(OSError):
            (self._records / f"{key}.json").unlink()
