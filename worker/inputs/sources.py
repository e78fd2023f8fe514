"""Which file each file input of a prompt refers to, decided before any file is read or fetched."""

from __future__ import annotations

import re
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path, PurePosixPath

from worker.bodies import DATA_URI
from worker.errors import Detail, FileNotAllowed, InvalidInputFile
from worker.inputs.content.signatures import base64_media_type
from worker.inputs.decode import EXTENSIONS, URL, decode, uri_type
from worker.inputs.file_inputs import ANNOTATED, FileInput, FileKind, texts
from worker.inputs.names import NameIndex, check_collisions, folders_of_name, spellings, stored_path
from worker.inputs.placeholders import placeholder_file_name
from worker.job import InputFile, JobRequest

SUFFIX = re.compile(r"\.[A-Za-z0-9]{1,8}")


FindEarlierOutput = Callable[[str, str], Path | None]
"""Returns the path of an earlier output by ComfyUI folder (output or temp) and name in that folder, or None."""


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
    """The kinds of file that the inputs which name this file accept. Empty for any kind."""


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
    name_index = NameIndex(contents)
    folder_by_input = _folders_by_input(contents, folders)
    by_text: dict[str, Source] = {}
    texts_by_file: dict[str, list[str]] = {}
    used_stems = {PurePosixPath(name).stem for name in contents}
    stems = (f"file-{number}" for number in count())
    free_stems = (stem for stem in stems if stem not in used_stems)
    for node_input in file_inputs:
        if not node_input.accepts_upload or node_input.key in folder_by_input:
            continue
        for text in texts(node_input.value):
            source = by_text.get(text) or by_name.get(text) or _embedded(text, node_input, by_name, free_stems)
            if source is None:
                source = _matching(text, node_input, by_name, name_index)
                if source is not None:
                    _check_same_path(text, node_input, source, texts_by_file.setdefault(source.name, []))
            if source is not None:
                by_text[text] = source
                source.kinds.update(_kinds(node_input))
    named = {spelling: source for name, source in by_name.items() for spelling in spellings(name)} | by_name
    return Sources(by_text, named, folder_by_input)


def _kinds(node_input: FileInput) -> set[FileKind]:
    """Return the kind of file that an input accepts, or an empty set for any kind."""
    return {node_input.kind} if node_input.kind else set()


def _matching(text: str, node_input: FileInput, by_name: Mapping[str, Source], name_index: NameIndex) -> Source | None:
    """Return the file whose name matches a text, or None. Raises FileNotAllowed if several files match."""
    names = name_index.matches(text)
    if len(names) > 1:
        raise _ambiguous(text, node_input, names)
    return by_name[names[0]] if names else None


def _check_same_path(text: str, node_input: FileInput, source: Source, earlier_texts: list[str]) -> None:
    """Add a text to `earlier_texts`, the texts that refer to the same file of the request.

    Raises FileNotAllowed if the text and an earlier one name different folders, so that they cannot mean one file.
    """
    for other in earlier_texts:
        if not NameIndex([other]).matches(text):
            message = (
                f"{node_input.label} names {text[-80:]!r}, another node names {other[-80:]!r},"
                f" and the request has only one file for both: {source.label}"
            )
            cure = "send both files, each under its complete name with its folders"
            detail = Detail(message, node_input.node_id, None, node_input.class_type, node_input.input, cure)
            raise FileNotAllowed(message, [detail])
    earlier_texts.append(text)


def _folders_by_input(names: Iterable[str], node_inputs: Sequence[FileInput]) -> dict[tuple[str, str], str]:
    """Return the folder of the request that each input names. Inputs that name no folder are left out.

    Raises FileNotAllowed if an input may mean several folders.
    """
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
    """Return the error for a text that matches several names of the request."""
    candidates = " or ".join(map(repr, names[:4]))
    message = f"{node_input.label} names {text[-80:]!r}, which may mean {candidates} of this request"
    cure = "write the complete name, with its folders"
    detail = Detail(message, node_input.node_id, None, node_input.class_type, node_input.input, cure)
    return FileNotAllowed(message, [detail])


def with_earlier_outputs(sources: Sources, node_inputs: Sequence[FileInput], find_output: FindEarlierOutput) -> Sources:
    """Return the sources with the earlier outputs added that the prompt names, such as `a.png [output]`."""
    by_text = dict(sources.by_text)
    used_names = {source.name for source in sources.all}
    for node_input in node_inputs:
        for text in texts(node_input.value) if node_input.accepts_upload else ():
            match = ANNOTATED.fullmatch(text)
            if match is None or match["folder"] == "input" or text in by_text:
                continue
            path = find_output(match["folder"], match["name"])
            if path is not None:
                name = _unused_name(path.suffix, used_names)
                used_names.add(name)
                by_text[text] = Source(name, node_input.label, path, _kinds(node_input))
    return Sources(by_text, sources.named, sources.folders)


def _unused_name(suffix: str, used_names: Container[str]) -> str:
    """Return the first of `earlier-0`, `earlier-1` and so on, with a suffix, that is not in use."""
    names = (f"earlier-{number}{suffix}" for number in count())
    return next(name for name in names if name not in used_names)


def _embedded(
    text: str, node_input: FileInput, by_name: Mapping[str, Source], free_stems: Iterator[str]
) -> Source | None:
    """Return a file that is in the workflow as a placeholder, URL, data URI or base64, or None for any other text.

    `free_stems` yields unused names for such files.
    """
    stored = by_name.get(placeholder_file_name(text) or "")
    if stored is not None:
        return replace(stored, label=node_input.label)
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
