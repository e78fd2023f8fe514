"""Which file each file input of a prompt refers to, decided before any file is read or fetched."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path, PurePosixPath

from worker.bodies import DATA_URI
from worker.errors import Detail, FileNotAllowed, InvalidInputFile
from worker.inputs.decode import EXTENSIONS, URL, decode, uri_type
from worker.inputs.file_inputs import ANNOTATED, FileInput, FileKind, texts
from worker.inputs.names import NameIndex, check_collisions, folders_of_name, spellings, stored_path
from worker.inputs.placeholders import placeholder_file_name
from worker.inputs.signatures import base64_media_type
from worker.job import InputFile, JobRequest

SUFFIX = re.compile(r"\.[A-Za-z0-9]{1,8}")


FindEarlier = Callable[[str, str], Path | None]
"""Finds an earlier output by ComfyUI folder (output or temp) and name in that folder."""


@dataclass(slots=True)
class Source:
    """One file that a job uses.

    `name` is its path in the job's folder, `label` its name in error messages.
    """

    name: str
    label: str
    content: InputFile | bytes | str | Path
    """The stored file, the bytes of a short data URI, a URL to fetch, or the path of an earlier output."""
    kinds: set[FileKind] = field(default_factory=set)
    """The kinds that the inputs accept that name this file."""


@dataclass(frozen=True, slots=True)
class Sources:
    """All files that a job uses.

    - `by_text`: by the text in a file input.
    - `named`: files that the client named. These names may be in any input of the prompt.
    - `folders`: the folder in the job's folder for each input that names a folder of the request.
    """

    by_text: Mapping[str, Source]
    named: Mapping[str, Source]
    folders: Mapping[tuple[str, str], str] = field(default_factory=dict)

    @property
    def all(self) -> list[Source]:
        """Every file once."""
        return list({source.name: source for source in (*self.named.values(), *self.by_text.values())}.values())


NO_SOURCES = Sources({}, {})


def find_sources(request: JobRequest, file_inputs: Sequence[FileInput], folders: Sequence[FileInput] = ()) -> Sources:
    """Return the file that each text in `file_inputs` refers to, and the folder of each input in `folders`.

    Raises InvalidInputFile for a data URI that cannot be decoded, and FileNotAllowed for an ambiguous name.
    """
    contents: dict[str, InputFile | str] = {**request.urls, **{file.name: file for file in request.inputs}}
    check_collisions(contents)
    by_name = {name: Source(stored_path(name), f"input {name!r}", content) for name, content in contents.items()}
    index = NameIndex(contents)
    in_folders = _folders(contents, folders)
    by_text: dict[str, Source] = {}
    paths: dict[str, list[str]] = {}
    used_stems = {PurePosixPath(name).stem for name in contents}
    free_stems = (stem for number in count() if (stem := f"file-{number}") not in used_stems)
    for node_input in file_inputs:
        for text in texts(node_input.value) if node_input.accepts_upload and node_input.key not in in_folders else ():
            source = by_text.get(text) or by_name.get(text) or _embedded(text, node_input, by_name, free_stems)
            if source is None:
                source = _matching(text, node_input, by_name, index)
                if source is not None:
                    _check_one_path(text, node_input, source, paths.setdefault(source.name, []))
            if source is not None:
                by_text[text] = source
                source.kinds |= {node_input.kind} if node_input.kind else set()
    named = {spelling: source for name, source in by_name.items() for spelling in spellings(name)} | by_name
    return Sources(by_text, named, in_folders)


def _matching(text: str, node_input: FileInput, by_name: Mapping[str, Source], index: NameIndex) -> Source | None:
    """Return the file whose name matches a text, or None. Raises FileNotAllowed if several files match."""
    names = index.matches(text)
    if len(names) > 1:
        raise _ambiguous(text, node_input, names)
    return by_name[names[0]] if names else None


def _check_one_path(text: str, node_input: FileInput, source: Source, paths: list[str]) -> None:
    """Raise FileNotAllowed if two nodes name files of one name in different folders, and only one file was sent."""
    for other in paths:
        if not NameIndex([other]).matches(text):
            message = (
                f"{node_input.label} names {text[-80:]!r}, another node names {other[-80:]!r},"
                f" and the request has only one file for both: {source.label}"
            )
            cure = "send both files, each under its complete name with its folders"
            detail = Detail(message, node_input.node_id, None, node_input.class_type, node_input.input, cure)
            raise FileNotAllowed(message, [detail])
    paths.append(text)


def _folders(names: Iterable[str], node_inputs: Sequence[FileInput]) -> dict[tuple[str, str], str]:
    """Return the folder of the request that each input names, by the key of the input."""
    index = NameIndex(dict.fromkeys(folder for name in names for folder in folders_of_name(name)))
    folders: dict[tuple[str, str], str] = {}
    for node_input in node_inputs:
        for text in texts(node_input.value):
            matches = index.matches(text)
            if len(matches) > 1:
                raise _ambiguous(text, node_input, matches)
            if matches:
                folders[node_input.key] = matches[0]
    return folders


def _ambiguous(text: str, node_input: FileInput, names: Sequence[str]) -> FileNotAllowed:
    candidates = " or ".join(map(repr, names[:4]))
    message = f"{node_input.label} names {text[-80:]!r}, which may mean {candidates} of this request"
    cure = "write the complete name, with its folders"
    detail = Detail(message, node_input.node_id, None, node_input.class_type, node_input.input, cure)
    return FileNotAllowed(message, [detail])


def with_earlier_outputs(sources: Sources, node_inputs: Sequence[FileInput], find: FindEarlier) -> Sources:
    """Return the sources with the earlier outputs added that the prompt names, such as `a.png [output]`."""
    by_text = dict(sources.by_text)
    used_names = {source.name for source in sources.all}
    for node_input in node_inputs:
        for text in texts(node_input.value) if node_input.accepts_upload else ():
            match = ANNOTATED.fullmatch(text)
            if match is None or match["folder"] == "input" or text in by_text:
                continue
            path = find(match["folder"], match["name"])
            if path is not None:
                name = next(name for number in count() if (name := f"earlier-{number}{path.suffix}") not in used_names)
                used_names.add(name)
                by_text[text] = Source(name, node_input.label, path, {node_input.kind} if node_input.kind else set())
    return Sources(by_text, sources.named, sources.folders)


def _embedded(
    text: str, node_input: FileInput, by_name: Mapping[str, Source], free_stems: Iterator[str]
) -> Source | None:
    """Return a file that is in the workflow as a placeholder, URL, data URI or base64, or None for any other text."""
    if (replaced := by_name.get(placeholder_file_name(text) or "")) is not None:
        return replace(replaced, label=node_input.label)
    if URL.match(text):
        suffix = PurePosixPath(text.partition("?")[0].partition("#")[0]).suffix
        return Source(next(free_stems) + (suffix if SUFFIX.fullmatch(suffix) else ""), node_input.label, text)
    uri = DATA_URI.match(text)
    media_type = uri_type(uri) if uri else base64_media_type(text)
    if uri or media_type:
        name = next(free_stems) + EXTENSIONS.get(media_type or "", ".png")
        try:
            return Source(name, node_input.label, decode(name, text))
        except InvalidInputFile as error:
            form = "data URI" if uri else "base64"
            raise InvalidInputFile(f"{node_input.label}: the {form} cannot be decoded", error.details) from None
    return None
