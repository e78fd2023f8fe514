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
    """Long texts by their placeholders. At most `max_restored_bytes` of them are read back into memory."""

    by_placeholder: dict[str, SpooledText]
    max_restored_bytes: int

    def __bool__(self) -> bool:
        return bool(self.by_placeholder)


async def replace_data_uris(body: ScannedBody, dialect: Dialect) -> LongTexts:
    """Replace long data URIs in the body by placeholders, and return them. Read other long texts back into the body.

    Texts at the place for files in this dialect, such as `inputs`, do not change. Raises BodyTooLarge if the texts that
    are read back are too long together.
    """
    long_texts = LongTexts({}, body.limits.max_restored)
    for text in body.spooled:
        if _is_inside(text.location, dialect.files):
            continue
        head = await text.beginning(HEAD)
        # In template parameters, base64 without the head of a data URI is a file too.
        data_uri_placeholder = placeholder(head, text.sha256, bare=_is_inside(text.location, dialect.params))
        if data_uri_placeholder:
            body.replace(text, data_uri_placeholder)
            long_texts.by_placeholder[data_uri_placeholder] = text
    await body.restore_texts(dialect.files)
    return long_texts


async def with_files(prompt: Prompt, long_texts: LongTexts, catalog: Catalog) -> tuple[Prompt, tuple[SentFile, ...]]:
    """Return the prompt, and the files whose placeholders are in its file inputs.

    Placeholders in other inputs are replaced by the original text. Raises BodyTooLarge.
    """
    file_keys = {file_input.key for file_input in file_inputs(prompt, catalog) if file_input.accepts_upload}
    in_file_inputs, elsewhere = set[str](), set[str]()
    for key, text in _texts_of(prompt):
        if text in long_texts.by_placeholder:
            placeholders = in_file_inputs if key in file_keys else elsewhere
            placeholders.add(text)
    files = tuple(
        SentFile(placeholder_file_name(text) or "", long_texts.by_placeholder[text]) for text in sorted(in_file_inputs)
    )
    if elsewhere:
        prompt = await _with_original_texts(prompt, long_texts, elsewhere, file_keys)
    return prompt, files


def _texts_of(prompt: Prompt) -> Iterator[tuple[InputKey, str]]:
    """Yield every text in the inputs of a prompt, with node id and input name."""
    for node_id, node in prompt.items():
        for name, value in node["inputs"].items():
            for text in texts(value):
                yield (node_id, name), text


async def _with_original_texts(
    prompt: Prompt, long_texts: LongTexts, placeholders: set[str], file_keys: set[InputKey]
) -> Prompt:
    """Return the prompt with these placeholders replaced by their texts, except in file inputs."""
    remaining_bytes = long_texts.max_restored_bytes
    texts_by_placeholder: dict[str, str] = {}
    for placeholder_text in sorted(placeholders):
        text = long_texts.by_placeholder[placeholder_text]
        texts_by_placeholder[placeholder_text] = await text.text(remaining_bytes)
        remaining_bytes -= text.size
    new_prompt = {node_id: node.copy() for node_id, node in prompt.items()}
    for node_id, node in new_prompt.items():
        node["inputs"] = {
            name: value if (node_id, name) in file_keys else replace_texts(value, texts_by_placeholder)
            for name, value in node["inputs"].items()
        }
    return new_prompt


def _is_inside(location: JsonPath, parent: JsonPath | None) -> bool:
    """Return whether a location is `parent` or inside it."""
    return parent is not None and location[: len(parent)] == parent
