"""ComfyUI's folder of models: what is in it, which of it we brought, and what makes room for more."""

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

from worker.engine.process.folders import engine_folders
from worker.errors import CacheFull, StartupError
from worker.inputs.paths.path_text import escapes
from worker.settings import Settings
from worker.workflow.templates.template import ModelFile

GIB = 1024**3
OWN = ".comfy-worker"
"""Beside the folders of models, so that ComfyUI lists nothing of it."""
FOLDER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}")
DAMAGED = ".damaged"
"""What is added to the name of a file that was set aside: no suffix that ComfyUI takes for a model's."""
STALE_S = 7 * 86400.0
"""A beginning that nobody has gone on with for so long is deleted."""


@dataclass(frozen=True, slots=True)
class ModelRecord:
    """A file that we brought. It is ours as long as it is unchanged: `size` in bytes, `mtime_ns` as `stat` says."""

    folder: str
    file: str
    size: int
    sha256: str
    url: str
    mtime_ns: int

    @property
    def key(self) -> str:
        return key_of(self.folder, self.file)


def models_folder(settings: Settings) -> Path | None:
    """WORKER_MODELS_FOLDER, else one in the state folder; None for a ComfyUI that is only a URL."""
    folders = engine_folders(settings)
    return folders.models if folders else settings.models.folder


def baked_models(settings: Settings) -> Path | None:
    """The models of the ComfyUI that this worker starts, where that has any: looked at and never changed."""
    folders = engine_folders(settings)
    return folders.baked if folders else None


def worker_models(settings: Settings) -> ModelsFolder | None:
    """Return the folder of models of a worker with these settings; None where it is not known."""
    root = models_folder(settings)
    return ModelsFolder(root, int(settings.models.quota * GIB), baked=baked_models(settings)) if root else None


def key_of(folder: str, file: str) -> str:
    return sha256(f"{folder}/{file}".encode()).hexdigest()[:32]


class ModelFiles:
    """The models of a folder, if there is one; what a request would bring is taken for present."""

    def __init__(self, root: Path | None, baked: Path | None = None) -> None:
        self._folder = ModelsFolder(root, baked=baked) if root else None

    def exists(self, folder: str, name: str) -> bool:
        if folder in {"input", "output", "temp", ""}:
            return True
        return self._folder is not None and self._folder.size(folder, name) is not None

    def names(self, folder: str) -> list[str]:
        """Return what is in a folder of models."""
        return self._folder.names(folder) if self._folder is not None else []


class ModelsFolder:
    """`quota` in bytes is the most that the files we brought may take, 0 for no limit. A file that is `needed` stays.

    What is in `baked` is there as well, first of all, and never changed, except that a damaged file is set aside.
    """

    def __init__(
        self,
        root: Path,
        quota: int = 0,
        needed: Callable[[ModelRecord], bool] = lambda _: False,
        baked: Path | None = None,
    ) -> None:
        self.root = root
        self._baked = baked
        self.partial = root / OWN / "partial"
        self._records = root / OWN / "records"
        self._quota = quota
        self.needed = needed
        self._reserved = 0
        """Bytes promised to downloads that are under way."""

    def open(self) -> None:
        """Make the folders, drop stale beginnings. Raises StartupError."""
        try:
            self.partial.mkdir(parents=True, exist_ok=True)
            self._records.mkdir(parents=True, exist_ok=True)
            for path in self.partial.iterdir():
                if path.is_file() and time.time() - path.stat().st_mtime > STALE_S:
                    path.unlink(missing_ok=True)
        except OSError as error:
            raise StartupError(f"{self.root} can't hold models: {error.strerror}") from error

    def path(self, folder: str, file: str) -> Path:
        """Where a model file lies. Raises ValueError for a name that leads out of its folder."""
        if not FOLDER.fullmatch(folder) or escapes(file) or "\\" in file or not file.strip("/. "):
            raise ValueError(f"models/{folder}/{file} is no name of a model file")
        return self.root / folder / file

    def has(self, file: ModelFile) -> bool:
        """True where it is there and has the size that it should have."""
        size = self.size(file.folder, file.file)
        return size is not None and file.size in {None, size}

    def is_others(self, file: ModelFile) -> bool:
        """True where something of that name is there that we did not bring: it is not for us to replace."""
        key = key_of(file.folder, file.file)
        return self.size(file.folder, file.file) is not None and key not in {record.key for record in self.brought()}

    def size(self, folder: str, file: str) -> int | None:
        """In bytes; None for a file that is not there."""
        try:
            path = self.path(folder, file)
            there = (self._baked / folder / file, path) if self._baked else (path,)
            return next((found.stat().st_size for found in there if found.is_file()), None)
        except (OSError, ValueError):
            return None

    def names(self, folder: str) -> list[str]:
        """Return what is in a folder of models, as ComfyUI names it."""
        roots = [root / folder for root in (self._baked, self.root) if root is not None]
        files = (path.relative_to(root).as_posix() for root in roots for path in root.rglob("*") if path.is_file())
        return sorted(set(files))

    def find(self, folder: str, file: str) -> Path | None:
        """Where a model file lies, in `baked` first, as ComfyUI looks for it; None for one that is not there."""
        try:
            path = self.path(folder, file)
        except ValueError:
            return None
        places = (self._baked / folder / file, path) if self._baked else (path,)
        return next((place for place in places if place.is_file()), None)

    def set_aside(self, path: Path) -> Path:
        """Rename a damaged file so that ComfyUI lists it no more, and return its new place. Raises OSError."""
        names = (path.with_name(f"{path.name}{DAMAGED}{number or ''}") for number in count())
        target = next(name for name in names if not name.exists())
        path.rename(target)
        return target

    @property
    def free(self) -> int:
        """Bytes that the disk has left, where the folder is or would be."""
        there = next(path for path in (self.root.absolute(), *self.root.absolute().parents) if path.exists())
        return shutil.disk_usage(there).free

    def keep(self, file: ModelFile, sha256: str) -> None:
        """Write down that we brought this file, which lies in its place."""
        stat = self.path(file.folder, file.file).stat()
        record = ModelRecord(file.folder, file.file, stat.st_size, sha256, file.url or "", stat.st_mtime_ns)
        target = self._records / f"{record.key}.json"
        draft = target.with_suffix(".new")
        draft.write_bytes(orjson.dumps(asdict(record)))
        draft.replace(target)

    def touch(self, record: ModelRecord) -> None:
        """Somebody uses it now."""
        os.utime(self._records / f"{record.key}.json")

    def brought(self) -> list[ModelRecord]:
        """The files that are ours, the one that was not used for longest first; others' are forgotten."""
        found = sorted(self._read(), key=lambda item: item[0])
        return [record for _, record in found]

    def make_room(self, size: int) -> None:
        """As `promise`, for bytes that are not on the disk yet. Raises CacheFull."""
        self.promise(size)
        if size > self.free:
            self.give_back(size)
            raise CacheFull(f"the disk has no room for {size} bytes more of models")

    def promise(self, size: int) -> None:
        """Count `size` more bytes, having deleted files of ours that nobody needs. Raises CacheFull."""
        if self._quota:
            self._shrink(size)
        self._reserved += size

    def give_back(self, size: int) -> None:
        """Of what was promised: it was not needed, or has become a file."""
        self._reserved -= size

    def _shrink(self, size: int) -> None:
        brought = self.brought()
        used = sum(record.size for record in brought) + self._reserved
        loose = [record for record in brought if not self.needed(record)]
        if used + size - sum(record.size for record in loose) > self._quota:
            raise CacheFull("the models that are needed fill the space for models (WORKER_MODELS_QUOTA_GIB)")
        for record in loose:
            if used + size <= self._quota:
                return
            self.path(record.folder, record.file).unlink(missing_ok=True)
            self._forget(record.key)
            used -= record.size

    def _read(self) -> Iterator[tuple[float, ModelRecord]]:
        """(last use, record) of each file that is still as we left it."""
        for path in self._records.glob("*.json"):
            try:
                used = path.stat().st_mtime
                record = ModelRecord(**orjson.loads(path.read_bytes()))
                stat = self.path(record.folder, record.file).stat()
            except (OSError, ValueError, TypeError):
                self._forget(path.stem)
                continue
            if (stat.st_size, stat.st_mtime_ns) == (record.size, record.mtime_ns):
                yield used, record
            else:
                self._forget(path.stem)

    def _forget(self, key: str) -> None:
        with suppress(OSError):
            (self._records / f"{key}.json").unlink()
