"""Files in a multipart form. Each part is a file; several parts of one name are the files of a folder."""

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
from worker.inputs.names import NameIndex, check_collisions, file_name, last_part
from worker.workflow.catalog.catalog import Catalog
from worker.workflow.prompt import Prompt


@dataclass(frozen=True, slots=True)
class FormFile:
    """A part of a form. `filename` is the name of the file on the client's machine, with or without folders."""

    name: str
    filename: str | None
    content: SpooledFile


def read_form(parts: Sequence[FormFile]) -> tuple[SentFile, ...]:
    """Return the files of a form. Raises InvalidInputFile for a bad name, or for two files of one name.

    Browsers send the files of a folder as parts of one name, each with its own filename.
    """
    part_counts = Counter(part.name for part in parts)
    files: dict[str, SentFile] = {}
    for part in parts:
        is_folder = part_counts[part.name] > 1
        name = file_name(f"{part.name}/{_without_folders(part.filename or '')}" if is_folder else part.name)
        if name in files:
            message = f"two parts of the form are the file {name!r}"
            raise InvalidInputFile(message, [Detail(message, input=part.name, suggestion="rename one of them")])
        files[name] = SentFile(name, part.content, () if is_folder else _aliases(part))
    check_collisions(files)
    return tuple(files.values())


def with_filenames(
    files: Sequence[SentFile], other_file_names: Collection[str], prompt: Prompt, catalog: Catalog
) -> tuple[SentFile, ...]:
    """Return the files, each under the name that the prompt uses for it.

    No-code tools name every part `image` or `file` and send the file's name as the filename. A file is renamed to its
    filename if a node names the filename and no node names the part. `other_file_names` are names of files that
    were sent outside of the form. Raises InvalidInputFile if two files get the same name.
    """
    name_index = NameIndex([*other_file_names, *(file.name for file in files)])
    prompt_texts = list(_file_texts(prompt, catalog))
    used_names = {name for text in prompt_texts for name in name_index.matches(text)}
    unmatched_texts: dict[str, list[str]] = {}
    for text in prompt_texts:
        if not name_index.matches(text):
            unmatched_texts.setdefault(last_part(text), []).append(text)
    renamed: dict[str, str] = {}  # new names by old name
    for file in files:
        new_name = _name_in_prompt(file.aliases, unmatched_texts) if file.name not in used_names else None
        if new_name is not None:
            renamed[file.name] = new_name
    part_counts = Counter(renamed.values())
    for old_name, new_name in renamed.items():
        if part_counts[new_name] > 1:
            message = f"two parts of the form are the file {new_name!r}"
            raise InvalidInputFile(message, [Detail(message, input=old_name, suggestion="rename one of them")])
    named_files = tuple(replace(file, name=renamed.get(file.name, file.name), aliases=()) for file in files)
    check_collisions([*other_file_names, *(file.name for file in named_files)])
    return named_files


def _file_texts(prompt: Prompt, catalog: Catalog) -> Iterator[str]:
    """Yield the texts that may name files of requests. For a class that is not in the catalog, yield all its texts."""
    for node_input in file_inputs(prompt, catalog):
        if node_input.accepts_upload:
            yield from texts(node_input.value)
    for node in prompt.values():
        if node["class_type"] not in catalog:
            yield from texts(node["inputs"])


def _without_folders(path: str) -> str:
    """Return the last part of a path with either separator."""
    return path.replace("\\", "/").rpartition("/")[2]


def _aliases(part: FormFile) -> tuple[str, ...]:
    """Return further names of a part's file. Some clients, such as aiohttp, percent-encode names with a space."""
    filename = part.filename or ""
    names = (_without_folders(filename), unquote(part.name), _without_folders(unquote(filename)))
    return tuple(dict.fromkeys(name for name in names if name and name != part.name))


def _name_in_prompt(names: Sequence[str], unmatched_texts: Mapping[str, Sequence[str]]) -> str | None:
    """Return the first of `names`, normalised, that a text of the prompt refers to, or None.

    `unmatched_texts` are the texts by their last part. Invalid names are skipped.
    """
    for sent_name in names:
        with suppress(InvalidInputFile):
            name = file_name(sent_name)
            name_index = NameIndex([name])
            if any(name_index.matches(text) for text in unmatched_texts.get(last_part(name), ())):
                return name
    return None
