"""Parsing of what a node reports: files, paths of files, texts and values. No I/O."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

import orjson

from worker.engine.protocol.api import FileRef
from worker.outputs.kinds import is_model, kind_of

TEXT_KEYS = ("text", "string")
"""Keys of reported texts. WAS nodes use `string`, other nodes `text`."""
FOR_THE_EDITOR = frozenset({"animated", "bg_image", "fast_preview", "mode", "unfinished_batch"})
"""Keys that control the display in ComfyUI's editor. They are not results."""
LONGEST_PATH = 4096
DEEPEST = 64
"""Most levels of nested lists and objects that are read."""
LONGEST_TEXT = 64 * 1024
"""Most characters of a text under another key that counts as a result. Longer texts are images for the editor."""


@dataclass(frozen=True, slots=True)
class ReportedText:
    """A text that a node reports (PreviewAny, SaveText).

    `index` is its position in the node's list, so that equal texts differ.
    """

    text: str
    index: int = 0


@dataclass(frozen=True, slots=True)
class ReportedValue:
    """A number, a boolean or an object that a node reports, as JSON. `index` is its position in the node's list."""

    json: str
    index: int = 0


@dataclass(frozen=True, slots=True)
class NodeOutput:
    """One item that a node reports, and its key in the report."""

    node_id: str
    key: str
    item: FileRef | ReportedText | ReportedValue

    @property
    def is_saved(self) -> bool:
        """Whether the item is a file in ComfyUI's output folder."""
        return isinstance(self.item, FileRef) and self.item.folder == "output"

    @property
    def is_preview(self) -> bool:
        """Whether the item is a file in another folder, such as ComfyUI's temp folder."""
        return isinstance(self.item, FileRef) and not self.is_saved

    @property
    def is_model(self) -> bool:
        """Whether the item is a file with the weights of a model."""
        return isinstance(self.item, FileRef) and is_model(self.item.subfolder, self.item.filename)


def node_outputs(node_id: str, node_output: Mapping[str, Any], *, is_output: bool = True) -> Iterator[NodeOutput]:
    """Yield the results that one node reports.

    An object with a `filename` is a file under any key, because packs use their own keys. If an output node
    (`is_output`) reports neither files nor texts, its other values are its results. For other nodes such values are
    meant for the editor, and are skipped.
    """
    files = [NodeOutput(node_id, key, ref) for key, items in node_output.items() for ref in _file_refs(items)]
    texts = [text for key in TEXT_KEYS for text in _reported_texts(node_id, key, node_output.get(key))]
    yield from files
    yield from texts
    if is_output and not files and not texts:
        for key, items in node_output.items():
            if key not in FOR_THE_EDITOR:
                yield from _texts_and_values(node_id, key, items)


def named_paths(node_output: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the key and the text of everything in a report that may be the path of a file, at any depth."""
    for key, items in node_output.items():
        for text in _texts_at_any_depth(items):
            if _is_path_like(text):
                yield key, text


def _file_ref(item: object) -> FileRef | None:
    """Return the file that an item describes, or None."""
    if isinstance(item, Mapping) and isinstance(item.get("filename"), str) and item["filename"]:
        return FileRef(item["filename"], str(item.get("subfolder") or ""), str(item.get("type") or "output"))
    return None


def _file_refs(items: object) -> list[FileRef]:
    """Return the files that the items of a list describe."""
    refs = map(_file_ref, _as_list(items))
    return [ref for ref in refs if ref is not None]


def _as_list(items: object) -> Sequence[object]:
    """Return a list unchanged, and an empty one for any other value."""
    return items if isinstance(items, list | tuple) else ()


def _reported_texts(node_id: str, key: str, items: object) -> Iterator[NodeOutput]:
    """Yield the texts in a list.

    A list of single characters is one text. ComfyUI makes such a list of a text that a node reports without a list.
    """
    values = _as_list(items)
    if values and all(isinstance(item, str) and len(item) == 1 for item in values):
        values = ["".join(map(str, values))]
    for index, item in enumerate(values):
        if isinstance(item, str):
            yield NodeOutput(node_id, key, ReportedText(item, index))


def _texts_and_values(node_id: str, key: str, items: object) -> Iterator[NodeOutput]:
    """Yield the texts and values under one key of a node that reports nothing else. Paths of files are skipped."""
    for output in _reported_texts(node_id, key, items):
        text = output.item.text if isinstance(output.item, ReportedText) else ""
        is_file_path = _is_path_like(text) and names_a_result(key, text)
        if 0 < len(text) <= LONGEST_TEXT and not is_file_path:
            yield output
    values = items if isinstance(items, list | tuple) else [items]
    for index, item in enumerate(values):
        is_value = isinstance(item, bool | int | float | Mapping) or (isinstance(item, list) and item)
        if is_value and not _is_deeper(item, DEEPEST):
            yield NodeOutput(node_id, key, ReportedValue(_json(item), index))


def _json(item: object) -> str:
    """Return an item as JSON."""
    try:
        return orjson.dumps(item).decode()
    except TypeError:  # an integer of more than 64 bits
        return json.dumps(item)


def _is_deeper(item: object, levels: int) -> bool:
    """Return True if an item has more than `levels` levels of nested lists and objects."""
    if not isinstance(item, Mapping | list | tuple):
        return False
    children = item.values() if isinstance(item, Mapping) else item
    return not levels or any(_is_deeper(child, levels - 1) for child in children)


def _texts_at_any_depth(items: object, levels: int = DEEPEST) -> Iterator[str]:
    """Yield the texts in an item at any depth. Objects that describe files are skipped."""
    if isinstance(items, str):
        yield items
    elif not levels:
        return
    elif isinstance(items, Mapping):
        if "filename" not in items:
            for item in items.values():
                yield from _texts_at_any_depth(item, levels - 1)
    elif isinstance(items, list | tuple):
        # ComfyUI makes a list of characters of a text that a node reports without a list.
        are_characters = items and all(isinstance(item, str) and len(item) == 1 for item in items)
        for item in ["".join(items)] if are_characters else items:
            yield from _texts_at_any_depth(item, levels - 1)


def _is_path_like(text: str) -> bool:
    """Return True for a name with an extension, such as `a/b.glb` or `b.png [temp]`."""
    if not 2 < len(text) <= LONGEST_PATH or "\n" in text or "://" in text:
        return False
    suffix = PurePosixPath(plain_path(text)).suffix
    return 1 < len(suffix) <= 12 and suffix[1:].isalnum() and not suffix[1:].isdigit()


def plain_path(text: str) -> str:
    """Return a path with slashes and without the suffix ` [output]` that ComfyUI's widgets add."""
    for folder in ("output", "temp", "input"):
        text = text.removesuffix(f" [{folder}]")
    return text.replace("\\", "/").strip()


def names_a_result(key: str, text: str) -> bool:
    """Return True if a text that looks like a path means that the node wrote this file.

    It does not under a key for texts, or for a model or a file of an unknown kind.
    """
    return key not in TEXT_KEYS and kind_of(plain_path(text)) not in {"file", "model"}
