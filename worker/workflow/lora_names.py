"""Finds LoRA files by the names that node packs accept, and reads `<lora:...>` tags in texts."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from worker.workflow.catalog.saved_models import is_model

TAG = "<lora:"
STRICT_TAG = re.compile(r"<lora:([^:>]*?)(?::(-?\d*(?:\.\d*)?))?>")
"""A tag as rgthree parses it: a name and one number."""
NUMBER = re.compile(r"-?(\d+(\.\d*)?|\.\d+)")
WILDCARD = re.compile(r"__[\w\s.\-+/*\\]+?__")
BRACES = re.compile(r"([{}])")

FindLora = Callable[[str, Sequence[str]], str | None]
"""Returns the listed file that a pack loads for a name, or None."""


@dataclass(frozen=True, slots=True)
class LoraTag:
    """A LoRA in a text. `is_certain` is True if it is loaded whatever the wildcards and options of the text become."""

    name: str
    is_certain: bool


def find_by_part(name: str, listed: Sequence[str]) -> str | None:
    """Return the file that rgthree loads for a name, or None.

    rgthree first compares whole paths, then file names, both with and without extension. Then it takes the first
    path that contains the name.
    """
    stem, base_name = posixpath.splitext(name)[0], posixpath.basename(name)
    comparisons = (
        *((name, _path), (name, _path_stem), (stem, _path_stem)),
        *((name, posixpath.basename), (base_name, posixpath.basename)),
        *((name, _base_stem), (_base_stem(name), _base_stem)),
    )
    for expected, part_of in comparisons:
        if (match := next((file for file in listed if part_of(file) == expected), None)) is not None:
            return match
    return next((file for file in listed if name in file), None)


def find_by_ending(name: str, listed: Sequence[str]) -> str | None:
    """Return the file that Impact Pack and Easy-Use load: the first one that ends with the name and an extension."""
    names = tuple(dict.fromkeys((with_extension(name), f"{name}.safetensors")))
    return next((file for file in listed if file.endswith(names)), None)


def with_extension(name: str) -> str:
    """Return the name with `.safetensors` appended, unless it already has an extension of a model file."""
    return name if is_model(name) else f"{name}.safetensors"


def lora_tags(text: str) -> Iterator[LoraTag]:
    """Yield the LoRAs that Impact Pack and Easy-Use load for a text. They skip a LoRA whose strengths are all 0."""
    lines = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))
    certain_tags = set(tag_contents(_without_options(lines)))
    for inside in dict.fromkeys(tag_contents(lines)):
        name, *fields = inside.strip(":").split(":")
        strengths = [float(field) for field in fields if NUMBER.fullmatch(field)][:2]
        if name.strip() and not has_random_name(name) and (any(strengths) or not strengths):
            yield LoraTag(name, inside in certain_tags)


def has_random_name(name: str) -> bool:
    """Return whether the name of a LoRA contains wildcards or options, which are filled in when the node runs."""
    return WILDCARD.search(name) is not None or bool(set(name) & set("{}|"))


def rgthree_tags(text: str) -> Iterator[LoraTag]:
    """Yield the LoRAs that rgthree's prompts load for a text."""
    for name, strength in dict.fromkeys(STRICT_TAG.findall(text)):
        if name and (not strength or not NUMBER.fullmatch(strength) or float(strength)):
            yield LoraTag(name, is_certain=True)


def tag_contents(text: str) -> Iterator[str]:
    """Yield the content of each `<lora:...>` tag. Takes linear time, also for a text with many unclosed tags."""
    start = text.find(TAG)
    while start >= 0 and (end := text.find(">", start + len(TAG))) >= 0:
        if inside := text[start + len(TAG) : end]:
            yield inside
        start = text.find(TAG, end)


def _without_options(text: str) -> str:
    """Remove options such as `{one|another}`, nested ones too, because the node draws one of them when it runs."""
    kept, brace_positions = list[str](), list[int]()
    for part in BRACES.split(text):
        if part == "}" and brace_positions:
            del kept[brace_positions.pop() :]
            continue
        if part == "{":
            brace_positions.append(len(kept))
        kept.append(part)
    return "".join(kept)


def _path(file: str) -> str:
    return file


def _path_stem(file: str) -> str:
    return posixpath.splitext(file)[0]


def _base_stem(file: str) -> str:
    return posixpath.splitext(posixpath.basename(file))[0]
