"""Warnings for files of a request that no node uses."""

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
"""Most names with spaces or similar characters that are searched for in all texts. Further ones give no warning."""
WORDS = re.compile(r"[\w.-]+")


def unused_files(names_in_request: Collection[str], prompt: Prompt, catalog: Catalog) -> Iterator[Detail]:
    """Yield a warning for each of a request's files that no text in the prompt mentions.

    A mention of the file's folder or of its last part is enough, because nodes of unknown packs may read files, too.
    """
    values = (value for node in prompt.values() for value in node["inputs"].values())
    prompt_texts = (placeholder_file_name(text) or text for value in values for text in texts(value))
    mentions = _Mentions.of(map(_normalized, prompt_texts))
    unused = sorted(name for name in names_in_request if not mentions.include(_normalized(name)))
    if not unused:
        return
    named = _named_files(prompt, catalog)
    listed = ", ".join(f"{name!r} (node {node_id}, {field})" for name, (node_id, field) in named.items())
    names = f"The nodes name {listed}." if named else "No node names a file."
    for name in unused[:MOST_WARNINGS]:
        message = f"The request contains the file {name!r}, and no node uses it. {names}"
        yield Detail(message, suggestion=did_you_mean(name, named))
    if len(unused) > MOST_WARNINGS:
        yield Detail(f"The request contains {len(unused) - MOST_WARNINGS} more files that no node uses.")


@dataclass(slots=True)
class _Mentions:
    """The texts of a prompt and the words in them, as sets, because a request may have thousands of files and texts."""

    texts: frozenset[str]
    words: frozenset[str]
    searches_left: int = MOST_SEARCHED

    @classmethod
    def of(cls, prompt_texts: Iterable[str]) -> Self:
        """Return the mentions in these texts."""
        unique = frozenset(prompt_texts)
        return cls(frozenset(text.rstrip("/") for text in unique), frozenset().union(*map(WORDS.findall, unique)))

    def include(self, name: str) -> bool:
        """Return True if a text contains the last part of a name as a word, or is one of its folders.

        After MOST_SEARCHED searches, True is returned for names that would need another search.
        """
        if name in self.texts or any(folder in self.texts for folder in folders_of_name(name)):
            return True
        last = name.rpartition("/")[2]
        if WORDS.fullmatch(last):
            return last in self.words
        self.searches_left -= 1
        if self.searches_left < 0:
            return True
        whole_word = re.compile(rf"(?<![\w.-]){re.escape(last)}(?![\w.-])")
        return any(last in text and whole_word.search(text) for text in self.texts)


def _named_files(prompt: Prompt, catalog: Catalog) -> dict[str, tuple[str, str]]:
    """Return the first MOST_NAMES files that nodes name, each with the node id and name of its first input."""
    inputs_by_name: dict[str, tuple[str, str]] = {}
    for node_input in file_inputs(prompt, catalog):
        value = node_input.value
        is_name = isinstance(value, str) and 0 < len(value) <= LONGEST_NAME and not DATA_URI.match(value)
        if node_input.accepts_upload and is_name and len(inputs_by_name) < MOST_NAMES:
            inputs_by_name.setdefault(str(value), node_input.key)
    return inputs_by_name


def _normalized(name: str) -> str:
    """Return a name in the form that is compared: NFC, with slashes, without case."""
    return unicodedata.normalize("NFC", name).replace("\\", "/").casefold()
