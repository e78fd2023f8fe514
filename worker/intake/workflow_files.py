"""Files in a workflow itself, as long data URIs. Placeholders take their place while the request is read."""

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

InputKey = tuple[str, str]
"""Node id and input name."""


@dataclass(frozen=True, slots=True)
class LongTexts:
    """Long texts by their placeholders. At most `restored` bytes of them are read back into memory."""

    by_placeholder: dict[str, SpooledText]
    restored: int

    def __bool__(self) -> bool:
        return bool(self.by_placeholder)


async def replace_data_uris(body: ScannedBody, dialect: Dialect) -> LongTexts:
    """Replace long data URIs outside the location of files by placeholders, and read other long texts back.

    Raises BodyTooLarge if the texts that are read back are too long together.
    """
    long_texts = LongTexts({}, body.limits.restored)
    for text in body.spooled:
        if not _under(text.location, dialect.files):
            head = await text.beginning(HEAD)
            if data_uri_placeholder := placeholder(head, text.sha256, bare=_under(text.location, dialect.params)):
                body.replace(text, data_uri_placeholder)
                long_texts.by_placeholder[data_uri_placeholder] = text
    await body.restore_texts(dialect.files)
    return long_texts


async def with_files(prompt: Prompt, long_texts: LongTexts, catalog: Catalog) -> tuple[Prompt, tuple[SentFile, ...]]:
    """Return the prompt, and the files whose placeholders are in its file inputs.

    Placeholders in other inputs are replaced by the original text. Raises BodyTooLarge.
    """
    file_places = {key.key for key in file_inputs(prompt, catalog) if key.accepts_upload}
    in_file_inputs, elsewhere = set[str](), set[str]()
    for key, text in _texts(prompt):
        if text in long_texts.by_placeholder:
            (in_file_inputs if key in file_places else elsewhere).add(text)
    files = tuple(
        SentFile(placeholder_file_name(text) or "", long_texts.by_placeholder[text]) for text in sorted(in_file_inputs)
    )
    return (await _restored(prompt, long_texts, elsewhere, file_places) if elsewhere else prompt), files


def _texts(prompt: Prompt) -> Iterator[tuple[InputKey, str]]:
    """Yield every text of a prompt with its place."""
    for node_id, node in prompt.items():
        for name, value in node["inputs"].items():
            for text in texts(value):
                yield (node_id, name), text


async def _restored(
    prompt: Prompt, long_texts: LongTexts, placeholders: set[str], file_places: set[InputKey]
) -> Prompt:
    """Return the prompt with placeholders outside file inputs replaced by their texts."""
    remaining = long_texts.restored
    texts_by_placeholder: dict[str, str] = {}
    for placeholder_text in sorted(placeholders):
        text = long_texts.by_placeholder[placeholder_text]
        texts_by_placeholder[placeholder_text] = await text.text(remaining)
        remaining -= text.size
    restored = {node_id: node.copy() for node_id, node in prompt.items()}
    for node_id, node in restored.items():
        node["inputs"] = {
            name: value if (node_id, name) in file_places else replace_texts(value, texts_by_placeholder)
            for name, value in node["inputs"].items()
        }
    return restored


def _under(location: JsonPath, parent: JsonPath | None) -> bool:
    """Return whether a location is inside another one."""
    return parent is not None and location[: len(parent)] == parent
