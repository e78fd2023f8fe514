"""The state folder at the start: what stands in the place of one of its files or folders is moved aside."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Iterator
from pathlib import Path

log = logging.getLogger(__name__)

FOLDERS = re.compile(r"bodies|inputs|outputs|models|tls|fetched|(engine|comfyui)(-[\w.-]+)?", re.ASCII)
FILES = re.compile(
    r"journal\.sqlite(-wal|-shm|-journal)?|suspects\.(json|new)|benchmark\.json(\.new)?|\.has_benchmark"
    r"|engine[\w.-]*\.log(\.1)?",
    re.ASCII,
)
INSIDE = (
    *("fetched/contents", "fetched/partial", "models/.comfy-worker", "models/.comfy-worker/records"),
    *("models/.comfy-worker/partial", "engine/models/.comfy-worker", "engine/models/.comfy-worker/records"),
    *("engine/models/.comfy-worker/partial", "engine/input", "engine/output", "engine/temp", "engine/models"),
    *("comfyui/input", "comfyui/output", "comfyui/temp", "comfyui/user"),
)
"""Folders inside others, each after the one that holds it."""


def repair_state(state: Path) -> list[str]:
    """Move aside what has the wrong kind, and return the names. Blocks. The caller holds the lock of the folder."""
    return [_moved(path, state) for path in _misplaced(state)]


def _misplaced(state: Path) -> Iterator[Path]:
    """Yield files and broken links in the place of folders, and the reverse."""
    for path in sorted(state.iterdir()) if state.is_dir() else ():
        if (FOLDERS.fullmatch(path.name) and _no_folder(path)) or (FILES.fullmatch(path.name) and not _file(path)):
            yield path
    for name in INSIDE:
        if _no_folder(state / name):
            yield state / name
    for name in ("inputs", "outputs"):
        yield from (path for path in sorted(state.glob(f"{name}/job-*")) if _no_folder(path))
    for pattern in ("*/models.yaml", "models/.comfy-worker/*/*", "engine/models/.comfy-worker/*/*", "fetched/*/*"):
        yield from (path for path in sorted(state.glob(pattern)) if not _file(path))


def _no_folder(path: Path) -> bool:
    try:
        return (path.exists() or path.is_symlink()) and not path.is_dir()
    except OSError:  # inside of a file
        return False


def _file(path: Path) -> bool:
    """Return whether it is a plain file, or a link to something that could be one."""
    return path.is_file() or not (path.exists() or path.is_symlink())


def _moved(path: Path, state: Path) -> str:
    """Rename it into the state folder itself. Where that fails it stays, and what needs it reports the cause."""
    name = str(path.relative_to(state))
    target = set_aside(path, state / name.replace("/", "-"))
    if target is not None:
        log.error("%s in the state folder is of the wrong kind; it is kept as %s", name, target.name)
    return name


def set_aside(path: Path, like: Path | None = None, why: str = "damaged") -> Path | None:
    """Rename a file or folder to STEM.WHY-TIME, the name being that of `like`; None where that fails."""
    target = (like or path).with_suffix(f".{why}-{time.time_ns() // 1_000_000}")
    try:
        path.rename(target)
    except OSError as error:
        log.error("%s can't be moved aside: %s", path, error.strerror)
        return None
    return target
