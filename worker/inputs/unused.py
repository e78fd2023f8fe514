"""Files that came with a request and that no node names."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterator

from worker.bodies import DATA_URI
from worker.errors import Detail
from worker.inputs.file_inputs import file_inputs, texts
from worker.inputs.stand_in import stand_in_name
from worker.workflow.catalog.catalog import Catalog
from worker.workflow.nearest import did_you_mean
from worker.workflow.prompt import Prompt

MOST_NAMES = 10
LONGEST_NAME = 200


def unused_files(own: Collection[str], prompt: Prompt, catalog: Catalog) -> Iterator[Detail]:
    """Yield a warning for each of a request's files that no text in the prompt names.

    Any mention counts, also of its folder or of its last part alone: nodes of unknown packs may read files, too.
    """
    values = (value for node in prompt.values() for value in node["inputs"].values())
    mentioned = [_plain(stand_in_name(text) or text) for value in values for text in texts(value)]
    unused = [name for name in own if not _is_named(_plain(name), mentioned)]
    if not unused:
        return
    named = _named(prompt, catalog)
    listed = ", ".join(f"{name!r} (node {node_id}, {field})" for name, (node_id, field) in named.items())
    names = f"The nodes name {listed}." if named else "No node names a file."
    for name in sorted(unused):
        message = f"The file {name!r} came with the request, and no node uses it. {names}"
        yield Detail(message, suggestion=did_you_mean(name, named))


def _named(prompt: Prompt, catalog: Catalog) -> dict[str, tuple[str, str]]:
    """The files that nodes name, each with the first node and input."""
    found: dict[str, tuple[str, str]] = {}
    for place in file_inputs(prompt, catalog):
        value = place.value
        short = isinstance(value, str) and 0 < len(value) <= LONGEST_NAME and not DATA_URI.match(value)
        if place.uploads and short and len(found) < MOST_NAMES:
            found.setdefault(str(value), place.key)
    return found


def _is_named(name: str, texts: Collection[str]) -> bool:
    last = re.compile(rf"(?<![\w.-]){re.escape(name.rpartition('/')[2])}(?![\w.-])")
    return any(last.search(text) or name.startswith(f"{text.rstrip('/')}/") for text in texts)


def _plain(name: str) -> str:
    return unicodedata.normalize("NFC", name).replace("\\", "/").casefold()
