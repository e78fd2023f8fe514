"""How a request names its files, and which of them a text in the workflow means."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass

from worker.errors import Detail, InvalidInputFile

ANNOTATION = re.compile(r"\s?\[(input|output|temp)\]$")
"""ComfyUI's way to say which of its folders a name is in; without one it is the input folder."""
PART = re.compile(r"[^/\\\x00-\x1f\x7f]{1,200}")
"""A file's or folder's own name."""
DRIVE = re.compile(r"[A-Za-z]:")
LONGEST_PART = 255
"""Bytes of a name, on any file system."""
LONGEST_NAME = 1000
"""Bytes of a name with its folders: a path may have 4,096."""
DEEPEST = 16
"""Folders that one may lie in."""
INPUT = "input"


def file_name(name: str) -> str:
    """Return the name of an input file in the one form that is stored: `a/b.png`, or `a/b.png [output]`.

    Both separators are taken, and ` [input]` is left out, which means nothing. Raises InvalidInputFile for a name that
    could leave the job's own folder.
    """
    path, folder = _split(name)
    parts = path.replace("\\", "/").split("/")
    if DRIVE.match(path) or len(path.encode(errors="replace")) > LONGEST_NAME or len(parts) > DEEPEST:
        raise _refused(name)
    if not all(_plain(part) for part in parts):
        raise _refused(name)
    return "/".join(parts) if folder == INPUT else f"{'/'.join(parts)} [{folder}]"


def check_together(names: Collection[str]) -> None:
    """Raise InvalidInputFile where one stored name is the folder of another, or lies where another one lies."""
    places: dict[str, str] = {}
    for name in names:
        if (other := places.setdefault(stored_path(name), name)) != name:
            message = f"inputs {other!r} and {name!r} can't both be files"
            raise InvalidInputFile(message, [Detail(message, input=name, suggestion="rename one of them")])
    for place, name in places.items():
        for folder in _folders_above(place):
            if (file := places.get(folder)) is not None:
                message = f"input {file!r} can't be a file and the folder of {name!r}"
                raise InvalidInputFile(message, [Detail(message, input=file, suggestion="rename one of them")])


def spellings(name: str) -> Iterator[str]:
    """Yield the ways in which a workflow may write a stored name, of those that mean nothing else.

    macOS writes é as two characters (NFD), other systems as one (NFC). It names screenshots with a narrow space, for
    which people type a plain one (NFKC).
    """
    path, folder = _split(name)
    for form in dict.fromkeys((path, *(unicodedata.normalize(form, path) for form in ("NFC", "NFD", "NFKC")))):
        for written in dict.fromkeys((form, form.replace("/", "\\"))):
            if folder == INPUT:
                yield written
            yield f"{written} [{folder}]"


def stored_path(name: str) -> str:
    """Return where a file of this name lies in the job's folder, as a relative path.

    ComfyUI would read an annotation in it as one.
    """
    path, folder = _split(name)
    return path if folder == INPUT else f"[{folder}]/{path}"


def folders_of_name(name: str) -> Iterator[str]:
    """Yield the folders that a stored name lies in, the innermost first."""
    yield from _folders_above(_split(name)[0])


def _folders_above(path: str) -> Iterator[str]:
    while "/" in path:
        path = path.rpartition("/")[0]
        yield path


@dataclass(frozen=True, slots=True)
class Named:
    """A name as it is compared: its parts, and ComfyUI's folder that it is in."""

    parts: tuple[str, ...]
    folder: str

    @classmethod
    def read(cls, text: str) -> Named:
        path, folder = _split(text)
        return cls(tuple(part for part in path.replace("\\", "/").split("/") if part not in {"", "."}), folder)


Table = dict[tuple[str, ...], list[tuple[str, str]]]
"""Names, each with ComfyUI's folder that it is in, by their parts."""


class NameIndex:
    """Finds the names that a text may mean.

    A text means the name that it is. Else it means one that it ends with, as the path of the machine where the workflow
    was made does, the longest first, or one that ends with it. A name in another Unicode form counts less than in the
    same one, and in other case less than that. Two that count the same are both found.
    """

    def __init__(self, names: Iterable[str]) -> None:
        self._whole: list[Table] = [{} for _ in FORMS]
        """By all parts of a name, in each form."""
        self._ends: list[Table] = [{} for _ in FORMS]
        """By the last parts of a name, but for all of them."""
        self._longest = 1
        for name in names:
            named = Named.read(name)
            self._longest = max(self._longest, len(named.parts))
            for whole, ends, form in zip(self._whole, self._ends, FORMS, strict=True):
                parts = tuple(map(form, named.parts))
                whole.setdefault(parts, []).append((name, named.folder))
                for start in range(1, len(parts)):
                    ends.setdefault(parts[start:], []).append((name, named.folder))

    def meant(self, text: str) -> tuple[str, ...]:
        """Return the names that a text may mean: one where it is certain."""
        asked = Named.read(text)
        parts = asked.parts[-self._longest :]
        spelled = [tuple(map(form, parts)) for form in FORMS]
        for start in range(len(parts)):
            for whole, wanted in zip(self._whole, spelled, strict=True):
                if found := whole.get(wanted[start:]):
                    return _in_folder(found, asked.folder)
        for ends, wanted in zip(self._ends, spelled, strict=True):
            if found := ends.get(wanted):
                return _in_folder(found, asked.folder)
        return ()


def last_part(text: str) -> str:
    """Return the last part of a name in the form in which any two are compared: where it differs, the names do."""
    parts = Named.read(text).parts
    return _folded(parts[-1]) if parts else ""


def _in_folder(found: Sequence[tuple[str, str]], folder: str) -> tuple[str, ...]:
    """Return the names in one of ComfyUI's folders, or else all."""
    same = tuple(name for name, place in found if place == folder)
    return same or tuple(name for name, _ in found)


def _as_is(part: str) -> str:
    return part


def _composed(part: str) -> str:
    return unicodedata.normalize("NFC", part)


def _compatible(part: str) -> str:
    return unicodedata.normalize("NFKC", part)


def _folded(part: str) -> str:
    return _compatible(part).casefold()


FORMS = (_as_is, _composed, _compatible, _folded)
"""How parts of names are compared, the strictest way first."""


def _split(name: str) -> tuple[str, str]:
    match = ANNOTATION.search(name)
    return (name[: match.start()], match[1]) if match else (name, INPUT)


def _plain(part: str) -> bool:
    return bool(PART.fullmatch(part)) and part not in {".", "..", "~"} and _bytes(part) <= LONGEST_PART


def _bytes(part: str) -> int:
    try:
        return len(part.encode())
    except UnicodeEncodeError:  # half a surrogate pair: no file can have this name
        return LONGEST_PART + 1


def _refused(name: str) -> InvalidInputFile:
    cure = "use a plain file name, or folders and a name: `frames/0001.png`"
    return InvalidInputFile(f"{name!r} can't be the name of an input file", [Detail(cure, input=name, suggestion=cure)])
