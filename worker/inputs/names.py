"""Names of a request's files, and matching of texts in the workflow to these names."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass

from worker.errors import Detail, InvalidInputFile

ANNOTATION = re.compile(r"\s?\[(input|output|temp)\]$")
"""ComfyUI's suffix for the folder that a name is in. A name without one is in the input folder."""
PART = re.compile(r"[^/\\\x00-\x1f\x7f]{1,200}")
"""Name of one file or one folder."""
DRIVE = re.compile(r"[A-Za-z]:")
LONGEST_PART = 255
"""Most bytes of one file name, the limit of common file systems."""
LONGEST_NAME = 1000
"""Most bytes of a name with its folders. Linux allows 4,096 bytes for a path."""
MOST_PARTS = 16
"""Most parts of a name with its folders."""
INPUT = "input"


def file_name(name: str) -> str:
    """Return the normalised name of an input file: `a/b.png`, or `a/b.png [output]`.

    Both separators are accepted, and a redundant ` [input]` is removed. Raises InvalidInputFile for a name that could
    leave the job's own folder.
    """
    path, folder = _path_and_folder(name)
    parts = path.replace("\\", "/").split("/")
    if DRIVE.match(path) or len(path.encode(errors="replace")) > LONGEST_NAME or len(parts) > MOST_PARTS:
        raise _invalid_name(name)
    if not all(_is_valid_part(part) for part in parts):
        raise _invalid_name(name)
    return "/".join(parts) if folder == INPUT else f"{'/'.join(parts)} [{folder}]"


def check_collisions(names: Collection[str]) -> None:
    """Raise InvalidInputFile if two names have the same path, or one name is a folder of another."""
    names_by_path: dict[str, str] = {}
    for name in names:
        if (other := names_by_path.setdefault(stored_path(name), name)) != name:
            message = f"inputs {other!r} and {name!r} cannot both be files: they have the same path"
            raise InvalidInputFile(message, [Detail(message, input=name, suggestion="rename one of them")])
    for path, name in names_by_path.items():
        for folder in _folders_above(path):
            if (file := names_by_path.get(folder)) is not None:
                message = f"input {file!r} cannot be a file and also the folder of {name!r}"
                raise InvalidInputFile(message, [Detail(message, input=file, suggestion="rename one of them")])


def spellings(name: str) -> Iterator[str]:
    """Yield the unambiguous spellings of a normalised name that a workflow may contain.

    They differ in Unicode form, separators and the ` [input]` suffix. macOS writes é as two characters (NFD), other
    systems as one (NFC). macOS also puts a narrow space into the names of screenshots. People type a plain one (NFKC).
    """
    path, folder = _path_and_folder(name)
    for normalized in dict.fromkeys((path, *(unicodedata.normalize(form, path) for form in ("NFC", "NFD", "NFKC")))):
        for spelling in dict.fromkeys((normalized, normalized.replace("/", "\\"))):
            if folder == INPUT:
                yield spelling
            yield f"{spelling} [{folder}]"


def stored_path(name: str) -> str:
    """Return the path of a file with this name, relative to the job's folder.

    A suffix such as ` [output]` becomes a folder, because ComfyUI would interpret the suffix.
    """
    path, folder = _path_and_folder(name)
    return path if folder == INPUT else f"[{folder}]/{path}"


def folders_of_name(name: str) -> Iterator[str]:
    """Yield the folders in a normalised name, innermost first."""
    yield from _folders_above(_path_and_folder(name)[0])


def _folders_above(path: str) -> Iterator[str]:
    while "/" in path:
        path = path.rpartition("/")[0]
        yield path


@dataclass(frozen=True, slots=True)
class NameParts:
    """A name that is split for comparison: its parts, and the ComfyUI folder that it is in."""

    parts: tuple[str, ...]
    folder: str

    @classmethod
    def read(cls, text: str) -> NameParts:
        """Split a name. Both separators count, and empty parts and `.` are dropped."""
        path, folder = _path_and_folder(text)
        return cls(tuple(part for part in path.replace("\\", "/").split("/") if part not in {"", "."}), folder)


Table = dict[tuple[str, ...], list[tuple[str, str]]]
"""Maps the parts of a name to the names that have these parts, each with its ComfyUI folder."""


class NameIndex:
    """Finds the names that a text in a workflow may refer to.

    Matches, best first:

    1. The text is the name.
    2. The text ends with the name, for example a full path on the machine where the workflow was made. The longest name
       is best.
    3. The name ends with the text.

    Within each step an exact match is better than one in another Unicode form, and that is better than one in other
    case. All names of the best kind are returned.
    """

    def __init__(self, names: Iterable[str]) -> None:
        self._by_all_parts: list[Table] = [{} for _ in FORMS]
        """One table for each form, keyed by all parts of a name."""
        self._by_last_parts: list[Table] = [{} for _ in FORMS]
        """One table for each form, keyed by the last parts of a name, without the complete name."""
        self._most_parts = 1
        for name in names:
            name_parts = NameParts.read(name)
            self._most_parts = max(self._most_parts, len(name_parts.parts))
            for by_all_parts, by_last_parts, form in zip(self._by_all_parts, self._by_last_parts, FORMS, strict=True):
                parts = tuple(map(form, name_parts.parts))
                by_all_parts.setdefault(parts, []).append((name, name_parts.folder))
                for start in range(1, len(parts)):
                    by_last_parts.setdefault(parts[start:], []).append((name, name_parts.folder))

    def matches(self, text: str) -> tuple[str, ...]:
        """Return the names of the best kind of match, or none. Several names mean that the text is ambiguous."""
        name_parts = NameParts.read(text)
        parts = name_parts.parts[-self._most_parts :]
        parts_in_forms = [tuple(map(form, parts)) for form in FORMS]
        for start in range(len(parts)):  # all parts of the text first, then without its outermost folders
            for table, parts_in_form in zip(self._by_all_parts, parts_in_forms, strict=True):
                if names := table.get(parts_in_form[start:]):
                    return _in_folder(names, name_parts.folder)
        for table, parts_in_form in zip(self._by_last_parts, parts_in_forms, strict=True):
            if names := table.get(parts_in_form):
                return _in_folder(names, name_parts.folder)
        return ()


def last_part(text: str) -> str:
    """Return the last part of a name, normalised and in lower case. Two names can match only if these are equal."""
    parts = NameParts.read(text).parts
    return _folded(parts[-1]) if parts else ""


def _in_folder(names: Sequence[tuple[str, str]], folder: str) -> tuple[str, ...]:
    """Return the names that are in `folder` of ComfyUI. Return all names if none of them is in it.

    `names` are pairs of a name and its folder.
    """
    in_folder = tuple(name for name, name_folder in names if name_folder == folder)
    return in_folder or tuple(name for name, _ in names)


def _as_is(part: str) -> str:
    """Return a part of a name without changes."""
    return part


def _composed(part: str) -> str:
    """Return a part of a name with accents as one character (NFC)."""
    return unicodedata.normalize("NFC", part)


def _compatible(part: str) -> str:
    """Return a part of a name with special characters, such as a narrow space, replaced by plain ones (NFKC)."""
    return unicodedata.normalize("NFKC", part)


def _folded(part: str) -> str:
    """Return a part of a name with plain characters and without case."""
    return _compatible(part).casefold()


FORMS = (_as_is, _composed, _compatible, _folded)
"""Forms in which parts of names are compared, strictest first."""


def _path_and_folder(name: str) -> tuple[str, str]:
    """Return the path in a name and the ComfyUI folder in its suffix, such as ` [output]`. The default is input."""
    match = ANNOTATION.search(name)
    return (name[: match.start()], match[1]) if match else (name, INPUT)


def _is_valid_part(part: str) -> bool:
    """Return True for a valid name of one file or folder."""
    return bool(PART.fullmatch(part)) and part not in {".", "..", "~"} and _byte_length(part) <= LONGEST_PART


def _byte_length(part: str) -> int:
    """Return the length in UTF-8, or a length that is too long if the text cannot be encoded."""
    try:
        return len(part.encode())
    except UnicodeEncodeError:  # half a surrogate pair: no file can have this name
        return LONGEST_PART + 1


def _invalid_name(name: str) -> InvalidInputFile:
    cure = "use a plain file name, or folders and a name: `frames/0001.png`"
    message = f"{name!r} cannot be the name of an input file"
    return InvalidInputFile(message, [Detail(cure, input=name, suggestion=cure)])
