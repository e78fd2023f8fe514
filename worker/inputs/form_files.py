"""Files that come as parts of a form: each by its part's name or filename, and several of one name as a folder."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from urllib.parse import unquote

from worker.bodies import SpooledFile
from worker.errors import Detail, InvalidInputFile
from worker.inputs.decode import SentFile
from worker.inputs.file_inputs import file_inputs, texts
from worker.inputs.names import NameIndex, check_together, file_name, last_part
from worker.workflow.catalog.catalog import Catalog
from worker.workflow.prompt import Prompt


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
        last = _last(part.filename or "")
        name = file_name(f"{part.name}/{last}" if times[part.name] > 1 else part.name)
        if name in files:
            message = f"two parts of the form are the file {name!r}"
            raise InvalidInputFile(message, [Detail(message, input=part.name, suggestion="rename one of them")])
        files[name] = SentFile(name, part.content, _other_names(part) if times[part.name] == 1 else ())
    check_together(files)
    return tuple(files.values())


def with_filenames(
    files: Sequence[SentFile], others: Collection[str], prompt: Prompt, catalog: Catalog
) -> tuple[SentFile, ...]:
    """Return the files by the names that the prompt has for them. Raises InvalidInputFile.

    No-code tools and pages call a part `image` or `file`, and have the file's own name beside it. That one counts where
    a node names it, and no node names the part. `others` are names of files that came in another way.
    """
    by_name = NameIndex([*others, *(file.name for file in files)])
    written = list(_file_texts(prompt, catalog))
    taken = {name for text in written for name in by_name.meant(text)}
    unknown: dict[str, list[str]] = {}
    for text in written:
        if not by_name.meant(text):
            unknown.setdefault(last_part(text), []).append(text)
    renamed = {
        file.name: name
        for file in files
        if file.name not in taken and (name := _named(file.other_names, unknown)) is not None
    }
    times = Counter(renamed.values())
    for part, name in renamed.items():
        if times[name] > 1:
            message = f"two parts of the form are the file {name!r}"
            raise InvalidInputFile(message, [Detail(message, input=part, suggestion="rename one of them")])
    found = tuple(replace(file, name=renamed.get(file.name, file.name), other_names=()) for file in files)
    check_together([*others, *(file.name for file in found)])
    return found


def _file_texts(prompt: Prompt, catalog: Catalog) -> Iterator[str]:
    """Yield the texts that name files of requests; of a class that the catalog does not know, all texts."""
    for place in file_inputs(prompt, catalog):
        if place.uploads:
            yield from texts(place.value)
    for node in prompt.values():
        if node["class_type"] not in catalog:
            yield from texts(node["inputs"])


def _last(path: str) -> str:
    return path.replace("\\", "/").rpartition("/")[2]


def _other_names(part: FormFile) -> tuple[str, ...]:
    """What else the file of a part may be called. Some clients, as aiohttp, percent-encode a name with a blank."""
    filename = part.filename or ""
    names = (_last(filename), unquote(part.name), _last(unquote(filename)))
    return tuple(dict.fromkeys(name for name in names if name and name != part.name))


def _named(names: Sequence[str], unknown: Mapping[str, Sequence[str]]) -> str | None:
    """Return the first of the names, as it is stored, that one of the texts means; these are by their last part."""
    for written in names:
        with suppress(InvalidInputFile):
            name = file_name(written)
            index = NameIndex([name])
            if any(index.meant(text) for text in unknown.get(last_part(name), ())):
                return name
    return None
