"""What a node reports of its results: files, paths of files, texts and values. Pure."""

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
"""Where nodes put what they say in words; WAS writes `string`, everybody else `text`."""
FOR_THE_EDITOR = frozenset({"animated", "bg_image", "fast_preview", "mode", "unfinished_batch"})
"""Keys with which a node tells the editor how to show it."""
LONGEST_PATH = 4096
DEEPEST = 64
"""Lists and objects inside one another up to which a report is read."""
LONGEST_TEXT = 64 * 1024
"""Characters up to which a text under a key of the node's own is a result: longer ones are pictures for the editor."""


@dataclass(frozen=True, slots=True)
class Text:
    """What a node says in words (PreviewAny, SaveText). `place` is its number among the node's, which may be equal."""

    text: str
    place: int = 0


@dataclass(frozen=True, slots=True)
class Value:
    """A number, a boolean or an object that a node reports, as JSON."""

    json: str
    place: int = 0


@dataclass(frozen=True, slots=True)
class NodeOutput:
    """One thing a node reports, and the key it was under."""

    node_id: str
    key: str
    item: FileRef | Text | Value

    @property
    def saved(self) -> bool:
        """Whether it is a file outside of ComfyUI's temp folder, where previews are."""
        return isinstance(self.item, FileRef) and self.item.folder == "output"

    @property
    def preview(self) -> bool:
        return isinstance(self.item, FileRef) and not self.saved

    @property
    def model(self) -> bool:
        """Whether it is a file with the weights of a model."""
        return isinstance(self.item, FileRef) and is_model(self.item.subfolder, self.item.filename)


def node_outputs(node_id: str, node_output: Mapping[str, Any], *, is_output: bool = True) -> Iterator[NodeOutput]:
    """Yield the results that one node reports.

    Files come from under whatever key: packs invent their own, but a file always has a `filename`. Where an output node
    (`is_output`) reports neither files nor texts, everything else that it reports is its result; other nodes report
    such things to the editor.
    """
    files = [
        NodeOutput(node_id, key, ref) for key, items in node_output.items() for ref in map(_file, _list(items)) if ref
    ]
    texts = [found for key in TEXT_KEYS for found in _texts(node_id, key, node_output.get(key))]
    yield from files
    yield from texts
    if is_output and not files and not texts:
        for key, items in node_output.items():
            if key not in FOR_THE_EDITOR:
                yield from _own_words(node_id, key, items)


def named_paths(node_output: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the key and the text of everything that may be the path of a file, however deep it lies."""
    for key, items in node_output.items():
        for text in _strings(items):
            if _path_like(text):
                yield key, text


def _file(item: object) -> FileRef | None:
    if isinstance(item, Mapping) and isinstance(item.get("filename"), str) and item["filename"]:
        return FileRef(item["filename"], str(item.get("subfolder") or ""), str(item.get("type") or "output"))
    return None


def _list(items: object) -> Sequence[object]:
    return items if isinstance(items, list | tuple) else ()


def _texts(node_id: str, key: str, items: object) -> Iterator[NodeOutput]:
    """ComfyUI makes letters of a text that a node reports without a list around it."""
    found = _list(items)
    if found and all(isinstance(item, str) and len(item) == 1 for item in found):
        found = ["".join(map(str, found))]
    for place, item in enumerate(found):
        if isinstance(item, str):
            yield NodeOutput(node_id, key, Text(item, place))


def _own_words(node_id: str, key: str, items: object) -> Iterator[NodeOutput]:
    for found in _texts(node_id, key, items):
        text = found.item.text if isinstance(found.item, Text) else ""
        if 0 < len(text) <= LONGEST_TEXT and not (_path_like(text) and names_a_result(key, text)):
            yield found
    for place, item in enumerate(_list(items) if isinstance(items, list | tuple) else [items]):
        wanted = isinstance(item, bool | int | float | Mapping) or (isinstance(item, list) and item)
        if wanted and not _deeper(item, DEEPEST):
            yield NodeOutput(node_id, key, Value(_json(item), place))


def _json(item: object) -> str:
    try:
        return orjson.dumps(item).decode()
    except TypeError:  # a whole number of more than 64 bits
        return json.dumps(item)


def _deeper(item: object, levels: int) -> bool:
    """Whether there are more lists and objects inside one another than that."""
    if not isinstance(item, Mapping | list | tuple):
        return False
    return not levels or any(_deeper(one, levels - 1) for one in (item.values() if isinstance(item, Mapping) else item))


def _strings(items: object, levels: int = DEEPEST) -> Iterator[str]:
    if isinstance(items, str):
        yield items
    elif not levels:
        return
    elif isinstance(items, Mapping):
        if "filename" not in items:
            for item in items.values():
                yield from _strings(item, levels - 1)
    elif isinstance(items, list | tuple):
        letters = items and all(isinstance(item, str) and len(item) == 1 for item in items)
        for item in ["".join(items)] if letters else items:
            yield from _strings(item, levels - 1)


def _path_like(text: str) -> bool:
    """A name with an extension, maybe followed by ComfyUI's word for its folder: `a/b.glb`, `b.png [temp]`."""
    if not 2 < len(text) <= LONGEST_PATH or "\n" in text or "://" in text:
        return False
    suffix = PurePosixPath(bare(text)).suffix
    return 1 < len(suffix) <= 12 and suffix[1:].isalnum() and not suffix[1:].isdigit()


def bare(text: str) -> str:
    """Return a path with slashes, without the ` [output]` that ComfyUI's widgets put behind it."""
    for folder in ("output", "temp", "input"):
        text = text.removesuffix(f" [{folder}]")
    return text.replace("\\", "/").strip()


def names_a_result(key: str, text: str) -> bool:
    """Whether a text promises a file: one under a key for words may as well be about files."""
    return key not in TEXT_KEYS and kind_of(bare(text)) not in {"file", "model"}
