"""Files that come as parts of a form: each by the name of its part, and several of one name as a folder."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from worker.bodies import SpooledFile
from worker.errors import Detail, InvalidInputFile
from worker.inputs.decode import SentFile
from worker.inputs.names import check_together, file_name


@dataclass(frozen=True, slots=True)
class FormFile:
    """A part of a form; `filename` is what the client's machine calls the file, with folders or not."""

    name: str
    filename: str | None
    content: SpooledFile


def read_form(parts: Sequence[FormFile]) -> tuple[SentFile, ...]:
    """Return the files of a form. Raises InvalidInputFile.

    Browsers send the files of a folder as parts of one name, with the files' own names beside it.
    """
    times = Counter(part.name for part in parts)
    files: dict[str, SentFile] = {}
    for part in parts:
        last = (part.filename or "").replace("\\", "/").rpartition("/")[2]
        name = file_name(f"{part.name}/{last}" if times[part.name] > 1 else part.name)
        if name in files:
            message = f"two parts of the form are the file {name!r}"
            raise InvalidInputFile(message, [Detail(message, input=part.name, suggestion="rename one of them")])
        files[name] = SentFile(name, part.content)
    check_together(files)
    return tuple(files.values())
