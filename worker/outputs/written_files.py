"""Tracking of the files in the output and temp folders of one engine: new files, and the prompt that wrote each."""

from __future__ import annotations

import logging
import os
import stat
import time
from collections import OrderedDict, deque
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from worker.engine.protocol.api import FileRef
from worker.job import EngineFile
from worker.outputs.known_folder import FoundFile, Identity, KnownFolder, reported_name
from worker.outputs.windows import Window, window_of

log = logging.getLogger(__name__)

WINDOWS = 1000
"""Most prompts whose times are remembered."""
MOST_WRITERS = 20_000
"""Most reported files whose writers are remembered."""
REPORTING_CLASSES = frozenset(
    {
        *("SaveImage", "PreviewImage", "SaveImageWebsocket", "MaskPreview", "SaveAnimatedWEBP", "SaveAnimatedPNG"),
        *("SaveVideo", "SaveWEBM", "SaveAudio", "SaveAudioMP3", "SaveAudioOpus", "PreviewAudio"),
        *("SaveLatent", "SaveGLB", "SaveSVGNode", "PreviewAny"),
    }
)
"""ComfyUI's output nodes that report every file they write (0.33.0). Other classes are learned when they run."""
LATE_MS = 60_000.0
"""Milliseconds after the end of a prompt in which a thread of one of its nodes may still write a file."""
UNCLAIMED_S = 5.0
"""Age in seconds at which an unclaimed file may be removed. Before that a report of it may still arrive."""


class WrittenFiles:
    """Files that ComfyUI writes to its folders, by prompt.

    `roots` are the accessible folders by ComfyUI's names. If this worker starts the engine
    (`starts_engine`), files that belong to no prompt are removed. Otherwise they may belong to another client.
    """

    def __init__(self, roots: Mapping[str, Path], *, starts_engine: bool) -> None:
        self.roots = {name: root.resolve() for name, root in roots.items()}
        self._starts_engine = starts_engine
        self._listings: dict[Path, KnownFolder] = {}
        self._unclaimed: dict[Path, FoundFile] = {}
        """Files that no node has reported and no job has collected."""
        self._windows: deque[Window] = deque(maxlen=WINDOWS)
        self._writers: OrderedDict[FileRef, tuple[bytes, Identity]] = OrderedDict()
        """Signature of the node that reported each file last, and the identity of the file at that time."""
        self.unreporting_classes: set[str] = set()
        """Node classes that have written files here without reporting them."""
        self.complete_classes: set[str] = set()
        """Node classes of runs that wrote only reported files."""
        self.reporting_classes = set(REPORTING_CLASSES)
        """Node classes that report every file they write, as far as is known."""
        if self.roots:
            self._list_changed_folders()  # existing files belong to no job and are never removed
            self._unclaimed.clear()
            for listing in self._listings.values():
                listing.preexisting.update(listing.files)

    def release(self, file: FileRef) -> None:
        """Mark a reported file as unclaimed again, because its job will not collect it."""
        current = self.find(file)
        if current is not None:
            self._unclaimed[current.path] = current

    def may_be_of_earlier_prompt(self, window: Window, changed_ms: float) -> bool:
        """Return True if a file may belong to another recent prompt that did not write an expected file."""
        others = (other for other in self._windows if other.file_expected and other is not window)
        end_times = [other.end for other in others if other.end is not None]
        return any(0 <= changed_ms - end_ms < LATE_MS for end_ms in end_times)

    def begin_prompt(self, at_ms: float | None, *, isolated: bool) -> Window:
        """Record the start of a prompt. If the end of the previous prompt is unknown, it ends now."""
        start = time.time() * 1000 if at_ms is None else at_ms
        if self._windows and self._windows[-1].end is None:
            self._windows[-1].end = start - 1
        window = Window(start, isolated)
        self._windows.append(window)
        return window

    def record_report(self, file: FileRef) -> Path | None:
        """Claim a reported file for its job. Return its path, or None if it is outside of the folders."""
        path = self._path_of(file)
        if path is not None:
            self._claim(path)
        return path

    def _path_of(self, file: FileRef) -> Path | None:
        """Return the path of a reported file, or None if it is outside of the folders."""
        root = self.roots.get(file.folder)
        if root is None:
            return None
        path = Path(os.path.normpath(root / file.subfolder / file.filename))
        return path if path.is_relative_to(root) and path != root else None

    def record_writer(self, signature: bytes, file: FileRef) -> bool:
        """Remember which node reported a file. `signature` is a hash of the node and of everything it depends on.

        Return True if the file was written since its folder was listed. Return False also if it does not exist.
        """
        current = self.find(file)
        if current is None:
            return False
        identity = current.identity
        self._writers[file] = signature, identity
        self._writers.move_to_end(file)
        if len(self._writers) > MOST_WRITERS:
            self._writers.popitem(last=False)
        last_identity = self._listings.get(current.path.parent, KnownFolder()).files.get(current.path.name)
        return current.path in self._unclaimed or last_identity != identity

    def may_be_replaced(self, signature: bytes, file: FileRef) -> bool:
        """Return True if another job may have replaced the file that a node with this signature wrote."""
        if self._path_of(file) is None:
            return False
        current = self.find(file)
        return current is None or self._writers.get(file) != (signature, current.identity)

    def find(self, file: FileRef) -> FoundFile | None:
        """Return the current state of a reported file, or None if it does not exist or is outside of the folders."""
        path = self._path_of(file)
        return self._current_state(path, file.folder) if path is not None else None

    def written_by(self, window: Window | None, *, thorough: bool = False) -> list[FoundFile]:
        """Claim and return the files that a prompt wrote and no node reported. Files of no prompt are removed.

        With `thorough` every file is examined, to find files that were overwritten in place.
        """
        self._list_changed_folders()
        if thorough:
            self._examine_known_files()
        oldest = min((file.changed_ms for file in self._unclaimed.values()), default=0.0)
        windows = [candidate for candidate in self._windows if not candidate.ended_before(oldest)]
        written = []
        for path, file in list(self._unclaimed.items()):
            if _is_recent(file) and (window is None or not window.contains(file.changed_ms)):
                continue  # a report of it may still arrive
            current = self._current_state(path, file.state.folder)
            if current is None:
                del self._unclaimed[path]
                continue
            self._unclaimed[path] = current
            writer = window_of(current.changed_ms, windows)
            if writer is not None and writer is window:
                self._claim(path)
                written.append(current)
            elif writer is None or not writer.collecting:
                self._remove_unclaimed(path, current, writer)
        return written

    def sweep(self) -> None:
        """Remove files that belong to no job, if this worker starts the engine."""
        if self._windows and self.roots and self._starts_engine:
            self.written_by(None)

    def remove(self, file: EngineFile) -> None:
        """Remove a file that a job wrote, unless another file has its name now."""
        root = self.roots.get(file.folder)
        if root is None:
            return
        path = root / file.path
        with suppress(OSError):
            current = path.lstat()
            if (current.st_ino, current.st_mtime_ns) == (file.inode, file.mtime_ns):
                path.unlink()
                self._writers.pop(reported_name(file), None)

    def forget(self, file: EngineFile) -> None:
        """Treat the next file with this name as a new file."""
        root = self.roots.get(file.folder)
        if root is not None:
            path = root / file.path
            self._listings.get(path.parent, KnownFolder()).files.pop(path.name, None)

    def is_only_copy(self, file: EngineFile) -> bool:
        """Return True if a file exists and the job has no hard link to it, so that it uses disk space of its own."""
        root = self.roots.get(file.folder)
        try:
            return root is not None and (root / file.path).lstat().st_nlink == 1
        except OSError:
            return False

    def existed_before(self, path: Path) -> bool:
        """Return True if a file of this name existed before the worker started. No job owns it, even after a change."""
        return path.name in self._listings.get(path.parent, KnownFolder()).preexisting

    def engine_file(self, path: Path) -> EngineFile | None:
        """Return the current state of a file inside the folders, or None if it does not exist."""
        for name, root in self.roots.items():
            if path.is_relative_to(root):
                current = self._current_state(path, name)
                return current.state if current else None
        return None

    def _remove_unclaimed(self, path: Path, file: FoundFile, writer: Window | None) -> None:
        """Remove a file that no job will collect, unless it is new or may belong to another program."""
        if _is_recent(file):
            return
        self._unclaimed.pop(path, None)
        if not self._starts_engine or self.existed_before(path):
            return
        reason = "no job will collect it" if writer else "it was written outside of a prompt, or between two prompts"
        log.warning("removing %s/%s: %s", file.state.folder, file.state.path, reason)
        self.remove(file.state)

    def _claim(self, path: Path) -> None:
        """Mark a file as claimed by a job."""
        self._unclaimed.pop(path, None)
        folder = self._listings.setdefault(path.parent, KnownFolder())
        with suppress(OSError, ValueError):
            current = path.lstat()
            folder.files[path.name] = (current.st_ino, current.st_mtime_ns)

    def _current_state(self, path: Path, folder: str) -> FoundFile | None:
        """Return the current state of a regular file, or None. Symbolic links are not outputs."""
        try:
            current = path.lstat()
        except (OSError, ValueError):  # the file does not exist, or no file can have this name
            return None
        if not stat.S_ISREG(current.st_mode):
            return None
        relative = path.relative_to(self.roots[folder]).as_posix()
        file = EngineFile(folder, relative, current.st_ino, current.st_mtime_ns, current.st_size)
        return FoundFile(path, file, current.st_ctime_ns / 1e6)

    def _list_changed_folders(self) -> None:
        """List the folders that have changed, and mark new files as unclaimed."""
        for name, root in self.roots.items():
            for path in self._new_files(root):
                current = self._current_state(path, name)
                if current is not None:
                    self._listings[path.parent].files[path.name] = current.identity
                    self._unclaimed[path] = current

    def _examine_known_files(self) -> None:
        """Examine every known file, and mark those that were overwritten in place as unclaimed."""
        for name, root in self.roots.items():
            for folder, listing in self._listings.items():
                changed_names = listing.changed_files(folder) if folder.is_relative_to(root) else []
                for file in changed_names:
                    current = self._current_state(folder / file, name)
                    if current is not None:
                        listing.files[file] = current.identity
                        self._unclaimed[folder / file] = current

    def _new_files(self, root: Path) -> Iterator[Path]:
        """Yield the new files in a folder and in all folders inside it."""
        pending = [root]
        while pending:
            folder = pending.pop()
            listing = self._listings.setdefault(folder, KnownFolder())
            try:
                mtime_ns = folder.stat().st_mtime_ns
                if not listing.is_current(mtime_ns):
                    yield from self._list_folder(folder, listing, mtime_ns)
            except OSError:  # the folder was deleted
                del self._listings[folder]
                continue
            pending += [folder / inside for inside in listing.folders]

    def _list_folder(self, folder: Path, listing: KnownFolder, mtime_ns: int) -> Iterator[Path]:
        """List a folder, update `listing`, and yield the folder's new files."""
        listed_at_ns = time.time_ns()
        files, folders = set(), []
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    folders.append(entry.name)
                else:
                    files.add(entry.name)
        listing.mtime_ns, listing.listed_at_ns, listing.folders = mtime_ns, listed_at_ns, folders
        new_files = files - listing.files.keys()
        listing.files = {name: identity for name, identity in listing.files.items() if name in files}
        listing.preexisting &= files
        yield from (folder / name for name in new_files)


def _is_recent(file: FoundFile) -> bool:
    """Return True if a file was written less than UNCLAIMED_S ago."""
    return time.time() - file.state.mtime_ns / 1e9 < UNCLAIMED_S
