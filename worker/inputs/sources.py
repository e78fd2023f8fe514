"""What a request's files are and where the prompt names them, decided before anything is read or fetched."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path, PurePosixPath

from worker.bodies import DATA_URI
from worker.errors import InvalidInputFile
from worker.inputs.decode import EXTENSIONS, URL, decode, spellings
from worker.inputs.file_inputs import ANNOTATED, FileInput, FileKind, texts
from worker.inputs.stand_in import stand_in_name
from worker.job import InputFile, JobRequest

SUFFIX = re.compile(r"\.[A-Za-z0-9]{1,8}")


FindEarlier = Callable[[str, str], Path | None]
"""Finds an earlier output by its folder (output or temp) and its name in there."""


@dataclass(slots=True)
class Source:
    """One file of a request; `name` is what it is stored as, `label` what errors call it."""

    name: str
    label: str
    content: InputFile | bytes | str | Path
    """The file; what a short data URI holds; the URL where it is; or the path of an earlier output."""
    kinds: set[FileKind] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class Sources:
    """`by_text`: what stands in file inputs. `named`: files that the client gave a name, which may stand anywhere."""

    by_text: Mapping[str, Source]
    named: Mapping[str, Source]

    @property
    def all(self) -> list[Source]:
        return list({source.name: source for source in (*self.named.values(), *self.by_text.values())}.values())


NO_SOURCES = Sources({}, {})


def find_sources(request: JobRequest, places: Sequence[FileInput]) -> Sources:
    """Raises InvalidInputFile for a data URI that can't be read."""
    given: dict[str, InputFile | str] = {**request.urls, **{file.name: file for file in request.inputs}}
    sent = {name: Source(name, f"input {name!r}", content) for name, content in given.items()}
    named = {form: source for name, source in sent.items() for form in spellings(name)} | sent
    by_text: dict[str, Source] = {}
    taken = {PurePosixPath(name).stem for name in given}
    fresh = (stem for number in count() if (stem := f"file-{number}") not in taken)
    for place in places:
        for text in texts(place.value) if place.uploads else ():
            source = by_text.get(text) or named.get(text) or _in_place(text, place, named, fresh)
            source = source or named.get(_last_part(text))
            if source is not None:
                by_text[text] = source
                source.kinds |= {place.kind} if place.kind else set()
    return Sources(by_text, named)


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
    return Sources(by_text, sources.named)


def _in_place(text: str, place: FileInput, named: Mapping[str, Source], fresh: Iterator[str]) -> Source | None:
    """A file whose content, or URL, stands in the workflow itself."""
    if (given := named.get(stand_in_name(text) or "")) is not None:
        return replace(given, label=place.label)
    if URL.match(text):
        suffix = PurePosixPath(text.partition("?")[0].partition("#")[0]).suffix
        return Source(next(fresh) + (suffix if SUFFIX.fullmatch(suffix) else ""), place.label, text)
    if uri := DATA_URI.match(text):
        name = next(fresh) + EXTENSIONS.get((uri[1] or "").lower(), ".png")
        try:
            return Source(name, place.label, decode(name, text))
        except InvalidInputFile as error:
            raise InvalidInputFile(f"{place.label}: the data URI can't be read", error.details) from None
    return None


def _last_part(text: str) -> str:
    """The plain name in `folder/name [input]` or in a path of the machine where the workflow was made."""
    match = ANNOTATED.fullmatch(text)
    return PurePosixPath((match["name"] if match else text).replace("\\", "/")).name
