"""Files that stand in a workflow itself as long data URIs: short stand-ins take their place."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from worker.bodies import JsonPath, ScannedBody, SpooledText
from worker.dialects import Dialect
from worker.inputs import SentFile
from worker.inputs.file_inputs import file_inputs, texts
from worker.inputs.placeholders import HEAD, placeholder, placeholder_file_name
from worker.inputs.prepare import replace_texts
from worker.workflow.catalog.catalog import Catalog
from worker.workflow.prompt import Prompt

Place = tuple[str, str]
"""Node id and name of an input."""


@dataclass(frozen=True, slots=True)
class LongTexts:
    """The texts that stand-ins stand for. At most `restored` bytes of them are read back into memory."""

    by_stand_in: dict[str, SpooledText]
    restored: int

    def __bool__(self) -> bool:
        return bool(self.by_stand_in)


async def replace_data_uris(body: ScannedBody, dialect: Dialect) -> LongTexts:
    """Leave a string in each place of the body but those where the dialect takes files.

    A long data URI becomes a stand-in; any other long text is read back. Raises BodyTooLarge where those are too long.
    """
    long_texts = LongTexts({}, body.limits.restored)
    for text in body.spooled:
        if not _under(text.location, dialect.files):
            head = await text.beginning(HEAD)
            if stands := placeholder(head, text.sha256, bare=_under(text.location, dialect.params)):
                body.replace(text, stands)
                long_texts.by_stand_in[stands] = text
    await body.restore_texts(dialect.files)
    return long_texts


async def with_files(prompt: Prompt, long_texts: LongTexts, catalog: Catalog) -> tuple[Prompt, tuple[SentFile, ...]]:
    """Return the files that the prompt's file inputs name by stand-ins, and the prompt with its other texts as sent.

    Raises BodyTooLarge.
    """
    file_places = {place.key for place in file_inputs(prompt, catalog) if place.uploads}
    in_places, elsewhere = set[str](), set[str]()
    for place, text in _texts(prompt):
        if text in long_texts.by_stand_in:
            (in_places if place in file_places else elsewhere).add(text)
    files = tuple(
        SentFile(placeholder_file_name(text) or "", long_texts.by_stand_in[text]) for text in sorted(in_places)
    )
    return (await _restored(prompt, long_texts, elsewhere, file_places) if elsewhere else prompt), files


def _texts(prompt: Prompt) -> Iterator[tuple[Place, str]]:
    for node_id, node in prompt.items():
        for name, value in node["inputs"].items():
            for text in texts(value):
                yield (node_id, name), text


async def _restored(prompt: Prompt, long_texts: LongTexts, wanted: set[str], file_places: set[Place]) -> Prompt:
    left = long_texts.restored
    read: dict[str, str] = {}
    for stands in sorted(wanted):
        text = long_texts.by_stand_in[stands]
        read[stands] = await text.text(left)
        left -= text.size
    restored = {node_id: node.copy() for node_id, node in prompt.items()}
    for node_id, node in restored.items():
        node["inputs"] = {
            name: value if (node_id, name) in file_places else replace_texts(value, read)
            for name, value in node["inputs"].items()
        }
    return restored


def _under(location: JsonPath, parent: JsonPath | None) -> bool:
    return parent is not None and location[: len(parent)] == parent
