"""Files that came with a request and that no node names."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import Self

from worker.bodies import DATA_URI
from worker.errors import Detail
from worker.inputs.file_inputs import file_inputs, texts
from worker.inputs.names import folders_of_name
from worker.inputs.placeholders import placeholder_file_name
from worker.workflow.catalog.catalog import Catalog
from worker.workflow.nearest import did_you_mean
from worker.workflow.prompt import Prompt

MOST_NAMES = 10
LONGEST_NAME = 200
MOST_WARNINGS = 20
MOST_SEARCHED = 50
"""Names with a blank or the like that are searched for in all texts; of more nothing is said."""
WORDS = re.compile(r"[\w.-]+")


def unused_files(own: Collection[str], prompt: Prompt, catalog: Catalog) -> Iterator[Detail]:
    """Yield a warning for each of a request's files that no text in the prompt names.

    Any mention counts, also of its folder or of its last part alone: nodes of unknown packs may read files, too.
    """
    values = (value for node in prompt.values() for value in node["inputs"].values())
    mentioned = _Mentioned.of(_plain(placeholder_file_name(text) or text) for value in values for text in texts(value))
    unused = sorted(name for name in own if not mentioned.names(_plain(name)))
    if not unused:
        return
    named = _named(prompt, catalog)
    listed = ", ".join(f"{name!r} (node {node_id}, {field})" for name, (node_id, field) in named.items())
    names = f"The nodes name {listed}." if named else "No node names a file."
    for name in unused[:MOST_WARNINGS]:
        message = f"The file {name!r} came with the request, and no node uses it. {names}"
        yield Detail(message, suggestion=did_you_mean(name, named))
    if len(unused) > MOST_WARNINGS:
        yield Detail(f"{len(unused) - MOST_WARNINGS} more files came with the request, and no node uses them.")


@dataclass(slots=True)
class _Mentioned:
    """The texts of a prompt, and the words in them: a request may have thousands of files and of texts."""

    texts: frozenset[str]
    words: frozenset[str]
    searches: int = MOST_SEARCHED

    @classmethod
    def of(cls, found: Iterable[str]) -> Self:
        every = frozenset(found)
        return cls(frozenset(text.rstrip("/") for text in every), frozenset().union(*map(WORDS.findall, every)))

    def names(self, name: str) -> bool:
        """Whether a text has the last part of a name as a word, or is one of its folders."""
        if name in self.texts or any(folder in self.texts for folder in folders_of_name(name)):
            return True
        last = name.rpartition("/")[2]
        if WORDS.fullmatch(last):
            return last in self.words
        self.searches -= 1
        whole = re.compile(rf"(?<![\w.-]){re.escape(last)}(?![\w.-])")
        return self.searches < 0 or any(last in text and whole.search(text) for text in self.texts)


def _named(prompt: Prompt, catalog: Catalog) -> dict[str, tuple[str, str]]:
    """The files that nodes name, each with the first node and input."""
    found: dict[str, tuple[str, str]] = {}
    for place in file_inputs(prompt, catalog):
        value = place.value
        short = isinstance(value, str) and 0 < len(value) <= LONGEST_NAME and not DATA_URI.match(value)
        if place.uploads and short and len(found) < MOST_NAMES:
            found.setdefault(str(value), place.key)
    return found


def _plain(name: str) -> str:
    return unicodedata.normalize("NFC", name).replace("\\", "/").casefold()
