"""The three folders that ComfyUI reads and writes, and the names that files get in them."""

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
    """A name would leave its folder."""


def inside(base: Path, *parts: str) -> Path:
    """Join to an absolute folder and normalise; raises `OutsideFolder` where the result is not `base` or below it."""
    path = Path(os.path.normpath(base.joinpath(*parts)))
    if not path.is_relative_to(base):
        raise OutsideFolder(path)
    return path


def split_annotation(name: str) -> tuple[str, str | None]:
    """`"x.png [temp]"` -> `("x.png", "temp")`: exactly one character stands between, whatever it is."""
    for folder_type in FOLDER_TYPES:
        suffix = f"[{folder_type}]"
        if name.endswith(suffix):
            return name[: -len(suffix) - 1], folder_type
    return name, None


@dataclass(frozen=True, slots=True)
class SavedFile:
    """A file that a node wrote, as `executed` and the history name it."""

    filename: str
    subfolder: str
    type: str

    def as_json(self) -> JsonObject:
        return {"filename": self.filename, "subfolder": self.subfolder, "type": self.type}


class ComfyFolders:
    """`input`, `output` and `temp` below one base folder, and `models`; made when missing, temp emptied.

    `elsewhere` has those that lie in another place, by name: several engines may share their input and models.
    """

    def __init__(self, base: Path, elsewhere: Mapping[str, Path] | None = None) -> None:
        self.base = base.absolute()
        self._elsewhere = {name: path.absolute() for name, path in (elsewhere or {}).items()}
        self.remove_temp()
        for folder_type in FOLDER_TYPES:
            self.path(folder_type).mkdir(parents=True, exist_ok=True)

    def path(self, folder_type: str) -> Path:
        if folder_type not in FOLDER_TYPES:
            raise KeyError(folder_type)
        return self._elsewhere.get(folder_type) or self.base / folder_type

    @property
    def models(self) -> Path:
        """Holds a folder for each kind of model."""
        return self._elsewhere.get("models") or self.base / "models"

    def remove_temp(self) -> None:
        shutil.rmtree(self.base / "temp", ignore_errors=True)

    def resolve(self, name: str, default: str = "input") -> Path:
        """Resolve what a loader is given: `sub/x.png`, `x.png [output]`. Raises `OutsideFolder`."""
        bare, folder_type = split_annotation(name)
        return inside(self.path(folder_type or default), bare)

    def save_slots(self, prefix: str, folder_type: str = "output", size: tuple[int, int] = (0, 0)) -> SaveSlots:
        """Return where files with this prefix go. Raises `OutsideFolder` for a prefix that leaves the folder."""
        expanded = _expand(prefix, size)
        subfolder, stem = os.path.split(os.path.normpath(expanded))
        folder = inside(self.path(folder_type), subfolder)
        folder.mkdir(parents=True, exist_ok=True)
        # ComfyUI counts by the length of the prefix as written: with a slash at its end it finds nothing to go on from.
        counter = _next_counter(folder, stem) if len(expanded.rpartition("/")[2]) == len(stem) else 1
        return SaveSlots(folder, SavedFile(stem, subfolder, folder_type), counter)


class SaveSlots:
    """Free names `stem_00001_.ext` in one folder; the counter goes on from the highest on disk, of any extension."""

    def __init__(self, folder: Path, named: SavedFile, counter: int) -> None:
        """`named` has the stem in place of a file name."""
        self._folder = folder
        self._named = named
        self._counter = counter

    def next(self, extension: str, tail: str = "_", batch_number: int = 0, before: str = "_") -> tuple[Path, SavedFile]:
        """Take the next name. Pictures end in `_` before the extension, sounds and text don't (`tail=""`)."""
        stem = self._named.filename.replace("%batch_num%", str(batch_number))
        filename = f"{stem}{before}{self._counter:05}{tail}.{extension}"
        self._counter += 1
        return self._folder / filename, replace(self._named, filename=filename)


def temp_suffix() -> str:
    """The end of a preview's prefix: five random letters, so that a browser never shows an old one."""
    return "_temp_" + "".join(secrets.choice(string.ascii_lowercase) for _ in range(5))


def temp_prefix() -> str:
    return f"ComfyUI{temp_suffix()}"


def _next_counter(folder: Path, stem: str) -> int:
    prefix = f"{stem}_"
    with os.scandir(folder) as entries:
        tails = [entry.name[len(prefix) :] for entry in entries if entry.name.startswith(prefix)]
    numbers = (_NUMBER.match(tail) for tail in tails)
    return max((int(match[1]) for match in numbers if match), default=0) + 1


def _expand(prefix: str, size: tuple[int, int]) -> str:
    if "%" not in prefix:
        return prefix
    now = time.localtime()
    values = {
        "width": size[0],
        "height": size[1],
        "year": now.tm_year,
        **{
            name: f"{value:02}"
            for name, value in (
                ("month", now.tm_mon),
                ("day", now.tm_mday),
                ("hour", now.tm_hour),
                ("minute", now.tm_min),
                ("second", now.tm_sec),
            )
        },
    }
    for name, value in values.items():
        prefix = prefix.replace(f"%{name}%", str(value))
    return prefix
