"""The files in the output and temp folders of one engine: which are new, and which prompt wrote each."""

from __future__ import annotations

import logging
import os
import stat
import time
from collections import OrderedDict, deque
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from worker.engine.protocol.api import FileRef
from worker.job import EngineFile
from worker.outputs.known_folder import Identity, KnownFolder
from worker.outputs.windows import Window, owner

log = logging.getLogger(__name__)

WINDOWS = 1000
"""Prompts whose times are remembered."""
MADE = 20_000
"""Reported files of which is remembered what made them."""
TALKING = frozenset(
    {
        *("SaveImage", "PreviewImage", "SaveImageWebsocket", "MaskPreview", "SaveAnimatedWEBP", "SaveAnimatedPNG"),
        *("SaveVideo", "SaveWEBM", "SaveAudio", "SaveAudioMP3", "SaveAudioOpus", "PreviewAudio"),
        *("SaveLatent", "SaveGLB", "SaveSVGNode", "PreviewAny"),
    }
)
"""Output nodes of ComfyUI itself that report whatever they write (0.33.0). Others are known once they have run."""
OVERDUE_MS = 60_000.0
"""How long after a prompt a thread of its nodes may still write, in milliseconds."""
UNCLAIMED_S = 5.0
"""How old a file is, in seconds, before it counts as nobody's: what its prompt says of it may be on its way."""


@dataclass(frozen=True, slots=True)
class FoundFile:
    """A file that no report has named yet. `changed_ms` is its ctime in milliseconds since the epoch."""

    path: Path
    file: EngineFile
    changed_ms: float

    @property
    def ref(self) -> FileRef:
        return _ref(self.file)


def _ref(file: EngineFile) -> FileRef:
    """Return the name by which ComfyUI reports a file."""
    path = PurePosixPath(file.path)
    return FileRef(path.name, "" if path.parent == PurePosixPath() else str(path.parent), file.folder)


class WrittenFiles:
    """What ComfyUI writes into its folders, by prompt.

    `roots` are the folders by ComfyUI's name of them, as far as they can be looked at. `ours`: this worker starts the
    engine, so a file that no prompt wrote is a late or lost one of a job, and is removed; elsewhere it may be another
    client's.
    """

    def __init__(self, roots: Mapping[str, Path], *, ours: bool) -> None:
        self.roots = {name: root.resolve() for name, root in roots.items()}
        self._ours = ours
        self._known: dict[Path, KnownFolder] = {}
        self._unclaimed: dict[Path, FoundFile] = {}
        self._windows: deque[Window] = deque(maxlen=WINDOWS)
        self._made: OrderedDict[FileRef, tuple[bytes, Identity]] = OrderedDict()
        self.silent: set[str] = set()
        """Node classes that have written files here without reporting them."""
        self.quiet: set[str] = set()
        """Node classes of runs that left no file but the reported ones."""
        self.talking = set(TALKING)
        """Node classes that report what they do, as far as is known."""
        if self.roots:
            self._look()  # what is there already is nobody's, and stays
            self._unclaimed.clear()
            for known in self._known.values():
                known.theirs.update(known.files)

    def release(self, file: FileRef) -> None:
        """Take back that a reported file is its job's: there is no job any more that it would go with."""
        found = self.find(file)
        if found is not None:
            self._unclaimed[found.path] = found

    def overdue(self, window: Window, changed_ms: float) -> bool:
        """Whether a file may be an earlier prompt's: one whose node left nothing when it should have, not long ago."""
        return any(
            other.owing and other is not window and other.end is not None and 0 <= changed_ms - other.end < OVERDUE_MS
            for other in self._windows
        )

    def begin(self, at_ms: float | None, *, apart: bool) -> Window:
        """A prompt starts. Where its predecessor's end was not heard of, that has ended now."""
        start = time.time() * 1000 if at_ms is None else at_ms
        if self._windows and self._windows[-1].end is None:
            self._windows[-1].end = start - 1
        window = Window(start, apart)
        self._windows.append(window)
        return window

    def report(self, file: FileRef) -> Path | None:
        """Return the path of a file that a node reports, which is its job's from now on; None for one outside."""
        path = self._path(file)
        if path is not None:
            self._claim(path)
        return path

    def _path(self, file: FileRef) -> Path | None:
        root = self.roots.get(file.folder)
        if root is None:
            return None
        path = Path(os.path.normpath(root / file.subfolder / file.filename))
        return path if path.is_relative_to(root) and path != root else None

    def made(self, signature: bytes, file: FileRef) -> bool:
        """Remember which file a node that ran has reported; `signature` is of all that went into it.

        Return whether the file is new: it was not there when the folders were last looked at.
        """
        found = self.find(file)
        if found is None:
            return False
        identity = found.file.inode, found.file.mtime_ns
        self._made[file] = signature, identity
        self._made.move_to_end(file)
        if len(self._made) > MADE:
            self._made.popitem(last=False)
        known = self._known.get(found.path.parent, KnownFolder()).files.get(found.path.name)
        return found.path in self._unclaimed or known != identity

    def replaced(self, signature: bytes, file: FileRef) -> bool:
        """Whether a file is not, or may not be, the one that such a node made: another job may have its name by now."""
        if self._path(file) is None:
            return False
        found = self.find(file)
        return found is None or self._made.get(file) != (signature, (found.file.inode, found.file.mtime_ns))

    def find(self, file: FileRef) -> FoundFile | None:
        """Return a file that a node reports as it is now; None where it is not there, or outside of the folders."""
        path = self._path(file)
        return self._stat(path, file.folder) if path is not None else None

    def written_by(self, window: Window | None, *, thorough: bool = False) -> list[FoundFile]:
        """Return the files that the prompt wrote and no node reported; what cannot be anybody's is removed.

        `thorough` also finds files that were written anew under an old name, for which each file is looked at.
        """
        self._look()
        if thorough:
            self._look_at_each()
        oldest = min((file.changed_ms for file in self._unclaimed.values()), default=0.0)
        windows = [one for one in self._windows if not one.over_before(oldest)]
        found = []
        for path, file in list(self._unclaimed.items()):
            recent = time.time() - file.file.mtime_ns / 1e9 < UNCLAIMED_S
            if recent and (window is None or not window.holds(file.changed_ms)):
                continue
            fresh = self._stat(path, file.file.folder)
            if fresh is None:
                del self._unclaimed[path]
                continue
            self._unclaimed[path] = fresh
            whose = owner(fresh.changed_ms, windows)
            if whose is not None and whose is window:
                self._claim(path)
                found.append(fresh)
            elif whose is None or not whose.kept:
                self._remove_unclaimed(path, fresh, whose)
        return found

    def sweep(self) -> None:
        """Remove what is nobody's."""
        if self._windows and self.roots and self._ours:
            self.written_by(None)

    def remove(self, file: EngineFile) -> None:
        """Remove a file of a job that nobody needs any more, unless another one has its name now."""
        root = self.roots.get(file.folder)
        if root is None:
            return
        path = root / file.path
        with suppress(OSError):
            found = path.lstat()
            if (found.st_ino, found.st_mtime_ns) == (file.inode, file.mtime_ns):
                path.unlink()
                self._made.pop(_ref(file), None)

    def forget(self, file: EngineFile) -> None:
        """Take the next file of this name for a new one."""
        if file.folder in self.roots:
            path = self.roots[file.folder] / file.path
            self._known.get(path.parent, KnownFolder()).files.pop(path.name, None)

    def only_there(self, file: EngineFile) -> bool:
        """Whether a file of a job takes room of its own: it is there, and the job has no link to it."""
        root = self.roots.get(file.folder)
        try:
            return root is not None and (root / file.path).lstat().st_nlink == 1
        except OSError:
            return False

    def was_there(self, path: Path) -> bool:
        """Whether a file of this name has been there since before the worker: who wrote into it does not own it."""
        return path.name in self._known.get(path.parent, KnownFolder()).theirs

    def known(self, path: Path) -> EngineFile | None:
        """Return a file inside the folders as it is now; None where it is not there."""
        for name, root in self.roots.items():
            if path.is_relative_to(root):
                found = self._stat(path, name)
                return found.file if found else None
        return None

    def _remove_unclaimed(self, path: Path, file: FoundFile, whose: Window | None) -> None:
        if time.time() - file.file.mtime_ns / 1e9 < UNCLAIMED_S:
            return
        self._unclaimed.pop(path, None)
        if not self._ours or self.was_there(path):
            return
        reason = "no job will collect any more" if whose else "was written outside of any prompt, or in between two"
        log.warning("removing %s/%s, which %s", file.file.folder, file.file.path, reason)
        self.remove(file.file)

    def _claim(self, path: Path) -> None:
        self._unclaimed.pop(path, None)
        folder = self._known.setdefault(path.parent, KnownFolder())
        with suppress(OSError, ValueError):
            found = path.lstat()
            folder.files[path.name] = (found.st_ino, found.st_mtime_ns)

    def _stat(self, path: Path, folder: str) -> FoundFile | None:
        """A regular file as it is now; links lead elsewhere and are no outputs."""
        try:
            found = path.lstat()
        except (OSError, ValueError):  # it is not there, or no file can have this name
            return None
        if not stat.S_ISREG(found.st_mode):
            return None
        place = path.relative_to(self.roots[folder]).as_posix()
        file = EngineFile(folder, place, found.st_ino, found.st_mtime_ns, found.st_size)
        return FoundFile(path, file, found.st_ctime_ns / 1e6)

    def _look(self) -> None:
        """List the folders that have changed. New files, and other files under old names, become unclaimed."""
        for name, root in self.roots.items():
            for path in self._new_files(root):
                found = self._stat(path, name)
                if found is not None:
                    self._known[path.parent].files[path.name] = (found.file.inode, found.file.mtime_ns)
                    self._unclaimed[path] = found

    def _look_at_each(self) -> None:
        for name, root in self.roots.items():
            for folder, known in self._known.items():
                for file in known.changed(folder) if folder.is_relative_to(root) else ():
                    found = self._stat(folder / file, name)
                    if found is not None:
                        known.files[file] = (found.file.inode, found.file.mtime_ns)
                        self._unclaimed[folder / file] = found

    def _new_files(self, root: Path) -> Iterator[Path]:
        """Look into all folders, however deep they lie."""
        waiting = [root]
        while waiting:
            folder = waiting.pop()
            known = self._known.setdefault(folder, KnownFolder())
            try:
                mtime_ns = folder.stat().st_mtime_ns
                if not known.settled(mtime_ns):
                    yield from self._listed(folder, known, mtime_ns)
            except OSError:  # it went away
                del self._known[folder]
                continue
            waiting += [folder / inside for inside in known.folders]

    def _listed(self, folder: Path, known: KnownFolder, mtime_ns: int) -> Iterator[Path]:
        listed_at_ns = time.time_ns()
        files, folders = set(), []
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    folders.append(entry.name)
                else:
                    files.add(entry.name)
        known.mtime_ns, known.listed_at_ns, known.folders = mtime_ns, listed_at_ns, folders
        new = files - known.files.keys()
        known.files = {name: identity for name, identity in known.files.items() if name in files}
        known.theirs &= files
        yield from (folder / name for name in new)
