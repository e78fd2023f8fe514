"""The folders that ComfyUI reads and writes, and the names of the files that nodes save."""

from __future__ import annotations

import os
import re
import secrets
import shutil
import string
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from worker.workflow.json_value import JsonObject

FOLDER_TYPES = ("output", "input", "temp")

_NUMBER = re.compile(r"(\d+)(?=[_.]|$)")


class OutsideFolder(Exception):
    """A file name leads out of its folder."""


def inside(base: Path, *parts: str) -> Path:
    """Join the parts to the absolute folder `base` and normalise the path.

    Raises `OutsideFolder` when the result is neither `base` nor below it.
    """
    path = Path(os.path.normpath(base.joinpath(*parts)))
    if not path.is_relative_to(base):
        raise OutsideFolder(path)
    return path


def split_annotation(name: str) -> tuple[str, str | None]:
    """Split `"x.png [temp]"` into `("x.png", "temp")`. The second part is None when the name has no folder.

    Any one character may stand between the parts, as in ComfyUI.
    """
    for folder_type in FOLDER_TYPES:
        suffix = f"[{folder_type}]"
        if name.endswith(suffix):
            return name[: -len(suffix) - 1], folder_type
    return name, None


@dataclass(frozen=True, slots=True)
class SavedFile:
    """A file that a node wrote, as the event `executed` and the history name it."""

    filename: str
    subfolder: str
    type: str

    def as_json(self) -> JsonObject:
        """Return the file as an entry of a node's `ui` output."""
        return {"filename": self.filename, "subfolder": self.subfolder, "type": self.type}


class ComfyFolders:
    """The folders `input`, `output`, `temp` and `models`, below one base folder.

    The first three are created when missing, and `temp` is emptied. `elsewhere` has the paths of folders that are not
    below `base`, by name: several engines may share `input` and `models`.
    """

    def __init__(self, base: Path, elsewhere: Mapping[str, Path] | None = None) -> None:
        self.base = base.absolute()
        self._elsewhere = {name: path.absolute() for name, path in (elsewhere or {}).items()}
        self.remove_temp()
        for folder_type in FOLDER_TYPES:
            self.path(folder_type).mkdir(parents=True, exist_ok=True)

    def path(self, folder_type: str) -> Path:
        """Return the folder `input`, `output` or `temp`. Raises KeyError for any other name."""
        if folder_type not in FOLDER_TYPES:
            raise KeyError(folder_type)
        return self._elsewhere.get(folder_type) or self.base / folder_type

    @property
    def models(self) -> Path:
        """The folder with one subfolder for each kind of model."""
        return self._elsewhere.get("models") or self.base / "models"

    def remove_temp(self) -> None:
        """Delete the folder `temp` with all its files."""
        shutil.rmtree(self.base / "temp", ignore_errors=True)

    def resolve(self, name: str, default: str = "input") -> Path:
        """Return the path for a loader's file name such as `sub/x.png` or `x.png [output]`. Raises `OutsideFolder`."""
        filename, folder_type = split_annotation(name)
        return inside(self.path(folder_type or default), filename)

    def save_slots(self, prefix: str, folder_type: str = "output", size: tuple[int, int] = (0, 0)) -> SaveSlots:
        """Return the free names for files with this prefix, and create their folder.

        `size` is the width and height for `%width%` and `%height%` in the prefix. Raises `OutsideFolder` when the
        prefix leads out of the folder.
        """
        expanded = _expand(prefix, size)
        subfolder, stem = os.path.split(os.path.normpath(expanded))
        folder = inside(self.path(folder_type), subfolder)
        folder.mkdir(parents=True, exist_ok=True)
        # ComfyUI uses the length of the prefix as written, so a prefix that ends in a slash matches no earlier file.
        counter = _next_counter(folder, stem) if len(expanded.rpartition("/")[2]) == len(stem) else 1
        return SaveSlots(folder, SavedFile(stem, subfolder, folder_type), counter)


class SaveSlots:
    """Free names `stem_00001_.ext` in one folder. The counter continues after the highest on disk, of any extension."""

    def __init__(self, folder: Path, file: SavedFile, counter: int) -> None:
        """Start at `counter`. `file.filename` is the stem of the names."""
        self._folder = folder
        self._file = file
        self._counter = counter

    def next(
        self, extension: str, tail: str = "_", batch_number: int = 0, separator: str = "_"
    ) -> tuple[Path, SavedFile]:
        """Return the next free path and its `SavedFile`, and advance the counter.

        The name is the stem, `separator`, the number of five digits and `tail`. Only images have a `_` as tail.
        `batch_number` replaces `%batch_num%` in the stem.
        """
        stem = self._file.filename.replace("%batch_num%", str(batch_number))
        filename = f"{stem}{separator}{self._counter:05}{tail}.{extension}"
        self._counter += 1
        return self._folder / filename, replace(self._file, filename=filename)


def temp_suffix() -> str:
    """Return the end of a preview's prefix, with five random letters so that a browser never shows a cached preview."""
    return "_temp_" + "".join(secrets.choice(string.ascii_lowercase) for _ in range(5))


def temp_prefix() -> str:
    """Return the prefix for the files of a preview in `temp`."""
    return f"ComfyUI{temp_suffix()}"


def _next_counter(folder: Path, stem: str) -> int:
    """Return one more than the highest number in the names of files with this stem."""
    prefix = f"{stem}_"
    with os.scandir(folder) as entries:
        tails = [entry.name[len(prefix) :] for entry in entries if entry.name.startswith(prefix)]
    numbers = (_NUMBER.match(tail) for tail in tails)
    return max((int(match[1]) for match in numbers if match), default=0) + 1


def _expand(prefix: str, size: tuple[int, int]) -> str:
    """Replace `%width%`, `%height%` and the date fields such as `%year%` in a prefix."""
    if "%" not in prefix:
        return prefix
    now = time.localtime()
    values = {
        "width": f"{size[0]}",
        "height": f"{size[1]}",
        "year": f"{now.tm_year}",
        "month": f"{now.tm_mon:02}",
        "day": f"{now.tm_mday:02}",
        "hour": f"{now.tm_hour:02}",
        "minute": f"{now.tm_min:02}",
        "second": f"{now.tm_sec:02}",
    }
    for name, value in values.items():
        prefix = prefix.replace(f"%{name}%", value)
    return prefix
