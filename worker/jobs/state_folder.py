"""Checks the state folder at the start: a file in the place of a folder, or the reverse, is moved aside."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Iterator
from pathlib import Path

log = logging.getLogger(__name__)

FOLDERS = re.compile(r"bodies|undelivered|inputs|outputs|models|tls|fetched|(engine|comfyui)(-[\w.-]+)?", re.ASCII)
"""Names of the folders in the state folder."""
FILES = re.compile(
    r"journal\.sqlite(-wal|-shm|-journal)?|suspects\.(json|new)|(benchmark|load)\.json(\.new)?|\.has_benchmark"
    r"|engine[\w.-]*\.log(\.1)?|machine\.json|arrivals\.(csv(\.1)?|key)",
    re.ASCII,
)
"""Names of the files in it."""
INSIDE = (
    *("fetched/contents", "fetched/partial", "models/.comfy-worker", "models/.comfy-worker/records"),
    *("models/.comfy-worker/partial", "engine/models/.comfy-worker", "engine/models/.comfy-worker/records"),
    *("engine/models/.comfy-worker/partial", "engine/input", "engine/output", "engine/temp", "engine/models"),
    *("comfyui/input", "comfyui/output", "comfyui/temp", "comfyui/user"),
)
"""Nested folders, each after its parent."""


def repair_state(state: Path) -> list[str]:
    """Move files in the place of folders, and the reverse, aside. Return their names. Blocks.

    The caller holds the state lock.
    """
    return [_move_aside(path, state) for path in _misplaced(state)]


def _misplaced(state: Path) -> Iterator[Path]:
    """Yield files and broken links in the place of folders, and folders in the place of files."""
    for path in sorted(state.iterdir()) if state.is_dir() else ():
        if FILES.fullmatch(path.name):  # before FOLDERS, which "engine-1.log" matches, too
            is_misplaced = not _is_file_or_free(path)
        else:
            is_misplaced = FOLDERS.fullmatch(path.name) is not None and _is_not_folder(path)
        if is_misplaced:
            yield path
    for name in INSIDE:
        if _is_not_folder(state / name):
            yield state / name
    for name in ("inputs", "outputs"):
        yield from (path for path in sorted(state.glob(f"{name}/job-*")) if _is_not_folder(path))
    for pattern in ("*/models.yaml", "models/.comfy-worker/*/*", "engine/models/.comfy-worker/*/*", "fetched/*/*"):
        yield from (path for path in sorted(state.glob(pattern)) if not _is_file_or_free(path))


def _is_not_folder(path: Path) -> bool:
    """Return whether something other than a folder exists at the path."""
    try:
        return (path.exists() or path.is_symlink()) and not path.is_dir()
    except OSError:  # the parent is a file
        return False


def _is_file_or_free(path: Path) -> bool:
    """Return whether nothing exists at the path, or a file, or a link to a file."""
    return path.is_file() or not (path.exists() or path.is_symlink())


def _move_aside(path: Path, state: Path) -> str:
    """Rename an entry, log that, and return its old name in the state folder.

    If it cannot be renamed, the part of the worker that needs the path reports the error later.
    """
    name = str(path.relative_to(state))
    target = set_aside(path, state / name.replace("/", "-"))
    if target is not None:
        log.error(
            "%s in the state folder is a file instead of a folder, or the reverse; it was renamed to %s",
            name,
            target.name,
        )
    return name


def set_aside(path: Path, like: Path | None = None, why: str = "damaged") -> Path | None:
    """Rename a file or folder to STEM.WHY-TIME and return the new path, or None when that fails.

    STEM is the name of `like`, or by default of the path, without its suffix. TIME is in milliseconds.
    """
    target = (like or path).with_suffix(f".{why}-{time.time_ns() // 1_000_000}")
    try:
        path.rename(target)
    except OSError as error:
        log.error("%s cannot be renamed: %s", path, error.strerror)
        return None
    return target
