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
    # Each comparison: a text, and the function that returns the part of a listed path that must equal it.
    comparisons: tuple[tuple[str, Callable[[str], str]], ...] = (
        (name, _whole_path),
        (name, _path_stem),
        (stem, _path_stem),
        (name, posixpath.basename),
        (base_name, posixpath.basename),
        (name, _base_stem),
        (_base_stem(name), _base_stem),
    )
    for expected, part_of in comparisons:
        match = next((file for file in listed if part_of(file) == expected), None)
        if match is not None:
            return match
    return next((file for file in listed if name in file), None)


def find_by_ending(name: str, listed: Sequence[str]) -> str | None:
    """Return the file that Impact Pack and Easy-Use load for a name, or None.

    They load the first listed path that ends with the name and an extension.
    """
    names = tuple(dict.fromkeys((with_extension(name), f"{name}.safetensors")))
    return next((file for file in listed if file.endswith(names)), None)


def with_extension(name: str) -> str:
    """Return the name with `.safetensors` appended, unless it already has an extension of a model file."""
    return name if is_model(name) else f"{name}.safetensors"


def lora_tags(text: str) -> Iterator[LoraTag]:
    """Yield the LoRAs that Impact Pack and Easy-Use load for a text, each tag once.

    They ignore lines that start with `#`, and skip a LoRA whose strengths are all 0. A LoRA inside options such as
    `{one|another}` is not certain. A LoRA whose own name is drawn at random is omitted.
    """
    lines = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))
    certain_tags = set(tag_contents(_without_options(lines)))
    for inside in dict.fromkeys(tag_contents(lines)):
        name, *fields = inside.strip(":").split(":")
        strengths = [float(field) for field in fields if NUMBER.fullmatch(field)][:2]  # for the model and for CLIP
        is_disabled = bool(strengths) and not any(strengths)
        if name.strip() and not has_random_name(name) and not is_disabled:
            yield LoraTag(name, inside in certain_tags)


def has_random_name(name: str) -> bool:
    """Return whether the name of a LoRA contains a wildcard (`__name__`) or options (`{one|another}`).

    The node replaces them by a random text when it runs.
    """
    return WILDCARD.search(name) is not None or bool(set(name) & set("{}|"))


def rgthree_tags(text: str) -> Iterator[LoraTag]:
    """Yield the LoRAs that rgthree's prompts load for a text. They skip a LoRA whose strength is 0."""
    for name, strength in dict.fromkeys(STRICT_TAG.findall(text)):
        is_disabled = NUMBER.fullmatch(strength) and float(strength) == 0
        if name and not is_disabled:
            yield LoraTag(name, is_certain=True)


def tag_contents(text: str) -> Iterator[str]:
    """Yield the content of each `<lora:...>` tag. Takes linear time, also for a text with many unclosed tags."""
    start = text.find(TAG)
    while start >= 0:
        end = text.find(">", start + len(TAG))
        if end < 0:
            return
        inside = text[start + len(TAG) : end]
        if inside:
            yield inside
        start = text.find(TAG, end)


def _without_options(text: str) -> str:
    """Return a text without options such as `{one|another}`, of which the node draws one when it runs.

    Nested options are removed too. A brace without a counterpart stays.
    """
    # The parts that are not removed so far, and the places of the open braces among them.
    kept, brace_positions = list[str](), list[int]()
    for part in BRACES.split(text):
        if part == "}" and brace_positions:  # removes everything since the matching brace, which is in `kept` too
            del kept[brace_positions.pop() :]
            continue
        if part == "{":
            brace_positions.append(len(kept))
        kept.append(part)
    return "".join(kept)


def _whole_path(file: str) -> str:
    """Return the path unchanged: the function of a comparison of whole paths."""
    return file


def _path_stem(file: str) -> str:
    """Return a path without its extension."""
    return posixpath.splitext(file)[0]


def _base_stem(file: str) -> str:
    """Return the file name of a path without its extension."""
    return posixpath.splitext(posixpath.basename(file))[0]
