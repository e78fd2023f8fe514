"""What a request's files are and where the prompt names them, decided before anything is read or fetched."""

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
from worker.inputs.names import NameIndex, check_together, folders_of_name, spellings, stored_path
from worker.inputs.placeholders import placeholder_file_name
from worker.inputs.signatures import base64_media
from worker.job import InputFile, JobRequest

SUFFIX = re.compile(r"\.[A-Za-z0-9]{1,8}")


FindEarlier = Callable[[str, str], Path | None]
"""Finds an earlier output by its folder (output or temp) and its name in there."""


@dataclass(slots=True)
class Source:
    """One file of a request; `name` is where it is stored in the job's folder, `label` what errors call it."""

    name: str
    label: str
    content: InputFile | bytes | str | Path
    """The file; what a short data URI holds; the URL where it is; or the path of an earlier output."""
    kinds: set[FileKind] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class Sources:
    """`by_text`: what stands in file inputs. `named`: files that the client gave a name, which may stand anywhere.

    `folders`: for inputs that name a folder of the request's, where it lies in the job's folder.
    """

    by_text: Mapping[str, Source]
    named: Mapping[str, Source]
    folders: Mapping[tuple[str, str], str] = field(default_factory=dict)

    @property
    def all(self) -> list[Source]:
        return list({source.name: source for source in (*self.named.values(), *self.by_text.values())}.values())


NO_SOURCES = Sources({}, {})


def find_sources(request: JobRequest, places: Sequence[FileInput], folders: Sequence[FileInput] = ()) -> Sources:
    """Decide which file each of `places` means, and which folder each of `folders`.

    Raises InvalidInputFile for a data URI that can't be read, FileNotAllowed for a name that may mean several files.
    """
    given: dict[str, InputFile | str] = {**request.urls, **{file.name: file for file in request.inputs}}
    check_together(given)
    sent = {name: Source(stored_path(name), f"input {name!r}", content) for name, content in given.items()}
    index = NameIndex(given)
    in_folders = _folders(given, folders)
    by_text: dict[str, Source] = {}
    paths: dict[str, list[str]] = {}
    taken = {PurePosixPath(name).stem for name in given}
    fresh = (stem for number in count() if (stem := f"file-{number}") not in taken)
    for place in places:
        for text in texts(place.value) if place.uploads and place.key not in in_folders else ():
            source = by_text.get(text) or sent.get(text) or _in_place(text, place, sent, fresh)
            if source is None and (source := _meant(text, place, sent, index)) is not None:
                _check_one_path(text, place, source, paths.setdefault(source.name, []))
            if source is not None:
                by_text[text] = source
                source.kinds |= {place.kind} if place.kind else set()
    named = {spelling: source for name, source in sent.items() for spelling in spellings(name)} | sent
    return Sources(by_text, named, in_folders)


def _meant(text: str, place: FileInput, sent: Mapping[str, Source], index: NameIndex) -> Source | None:
    """The file that a name with other folders, or in another spelling, certainly means."""
    names = index.meant(text)
    if len(names) > 1:
        raise _ambiguous(text, place, names)
    return sent[names[0]] if names else None


def _check_one_path(text: str, place: FileInput, source: Source, paths: list[str]) -> None:
    """Raise FileNotAllowed where another node names a file in another folder, and only one of the two was sent."""
    for other in paths:
        if not NameIndex([other]).meant(text):
            message = (
                f"{place.label} names {text[-80:]!r}, and another node {other[-80:]!r}: {source.label} may be either"
            )
            cure = "send both files, each under its whole name, with its folders"
            detail = Detail(message, place.node_id, None, place.class_type, place.input, cure)
            raise FileNotAllowed(message, [detail])
    paths.append(text)


def _folders(given: Iterable[str], places: Sequence[FileInput]) -> dict[tuple[str, str], str]:
    """Return the folders of files that were sent, by the input that names one."""
    index = NameIndex(dict.fromkeys(folder for name in given for folder in folders_of_name(name)))
    found: dict[tuple[str, str], str] = {}
    for place in places:
        for text in texts(place.value):
            names = index.meant(text)
            if len(names) > 1:
                raise _ambiguous(text, place, names)
            if names:
                found[place.key] = names[0]
    return found


def _ambiguous(text: str, place: FileInput, names: Sequence[str]) -> FileNotAllowed:
    message = f"{place.label} names {text[-80:]!r}, which may mean {' or '.join(map(repr, names[:4]))} of this request"
    cure = "write the whole name, with its folders"
    return FileNotAllowed(
        message, [Detail(message, place.node_id, class_type=place.class_type, input=place.input, suggestion=cure)]
    )


def with_earlier(sources: Sources, places: Sequence[FileInput], find: FindEarlier) -> Sources:
    """Return them with the earlier outputs that the prompt names; `find` looks for each by its folder and name."""
    by_text = dict(sources.by_text)
    taken = {source.name for source in sources.all}
    for place in places:
        for text in texts(place.value) if place.uploads else ():
            match = ANNOTATED.fullmatch(text)
            if match is None or match["folder"] == "input" or text in by_text:
                continue
            path = find(match["folder"], match["name"])
            if path is not None:
                name = next(name for number in count() if (name := f"earlier-{number}{path.suffix}") not in taken)
                taken.add(name)
                by_text[text] = Source(name, place.label, path, {place.kind} if place.kind else set())
    return Sources(by_text, sources.named, sources.folders)


def _in_place(text: str, place: FileInput, named: Mapping[str, Source], fresh: Iterator[str]) -> Source | None:
    """A file whose content, or URL, stands in the workflow itself."""
    if (given := named.get(placeholder_file_name(text) or "")) is not None:
        return replace(given, label=place.label)
    if URL.match(text):
        suffix = PurePosixPath(text.partition("?")[0].partition("#")[0]).suffix
        return Source(next(fresh) + (suffix if SUFFIX.fullmatch(suffix) else ""), place.label, text)
    uri = DATA_URI.match(text)
    kind = uri_type(uri) if uri else base64_media(text)
    if uri or kind:
        name = next(fresh) + EXTENSIONS.get(kind or "", ".png")
        try:
            return Source(name, place.label, decode(name, text))
        except InvalidInputFile as error:
            what = "data URI" if uri else "base64"
            raise InvalidInputFile(f"{place.label}: the {what} can't be read", error.details) from None
    return None
