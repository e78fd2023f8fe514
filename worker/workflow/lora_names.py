"""Names of LoRAs as packs read them: without folder or extension, and in tags of a text."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from worker.workflow.catalog.saved_models import is_model

TAG = "<lora:"
STRICT_TAG = re.compile(r"<lora:([^:>]*?)(?::(-?\d*(?:\.\d*)?))?>")
"""As rgthree reads it: a name and one number."""
NUMBER = re.compile(r"-?(\d+(\.\d*)?|\.\d+)")
WILDCARD = re.compile(r"__[\w\s.\-+/*\\]+?__")
BRACES = re.compile(r"([{}])")

FindLora = Callable[[str, Sequence[str]], str | None]
"""The listed file that a pack takes for a name, None for none."""


@dataclass(frozen=True, slots=True)
class LoraTag:
    """`certain`: the text has it however its wildcards and options are filled in."""

    name: str
    is_certain: bool


def find_by_part(name: str, listed: Sequence[str]) -> str | None:
    """Return what rgthree takes: the whole name or its last part, with its extension or without, or part of a path."""
    bare, last = posixpath.splitext(name)[0], posixpath.basename(name)
    steps = (
        *((name, _whole), (name, _bare), (bare, _bare)),
        *((name, posixpath.basename), (last, posixpath.basename)),
        *((name, _bare_last), (_bare_last(name), _bare_last)),
    )
    for wanted, read in steps:
        if (found := next((file for file in listed if read(file) == wanted), None)) is not None:
            return found
    return next((file for file in listed if name in file), None)


def find_by_ending(name: str, listed: Sequence[str]) -> str | None:
    """Return what Impact and Easy-Use take: the first file that ends with the name, with an extension."""
    names = tuple(dict.fromkeys((with_extension(name), f"{name}.safetensors")))
    return next((file for file in listed if file.endswith(names)), None)


def with_extension(name: str) -> str:
    """Return the name of a file that a name without an extension stands for."""
    return name if is_model(name) else f"{name}.safetensors"


def lora_tags(text: str) -> Iterator[LoraTag]:
    """Yield the LoRAs that Impact and Easy-Use load for a text; one without any strength loads nothing."""
    lines = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))
    certain = set(tag_contents(_without_options(lines)))
    for inside in dict.fromkeys(tag_contents(lines)):
        name, *rest = inside.strip(":").split(":")
        strengths = [float(one) for one in rest if NUMBER.fullmatch(one)][:2]
        if name.strip() and not has_random_name(name) and (any(strengths) or not strengths):
            yield LoraTag(name, inside in certain)


def has_random_name(name: str) -> bool:
    """Tell whether wildcards or options in the name of a LoRA are filled in when the node runs."""
    return WILDCARD.search(name) is not None or bool(set(name) & set("{}|"))


def rgthree_tags(text: str) -> Iterator[LoraTag]:
    """Yield the LoRAs that rgthree's prompts load for a text."""
    for name, strength in dict.fromkeys(STRICT_TAG.findall(text)):
        if name and (not strength or not NUMBER.fullmatch(strength) or float(strength)):
            yield LoraTag(name, is_certain=True)


def tag_contents(text: str) -> Iterator[str]:
    """Yield what stands in each `<lora:...>`, in linear time: a text may have many that are never closed."""
    start = text.find(TAG)
    while start >= 0 and (end := text.find(">", start + len(TAG))) >= 0:
        if inside := text[start + len(TAG) : end]:
            yield inside
        start = text.find(TAG, end)


def _without_options(text: str) -> str:
    """Leave out `{one|another}`, also one in another: which of them is taken is drawn."""
    kept, opened = list[str](), list[int]()
    for part in BRACES.split(text):
        if part == "}" and opened:
            del kept[opened.pop() :]
            continue
        if part == "{":
            opened.append(len(kept))
        kept.append(part)
    return "".join(kept)


def _whole(file: str) -> str:
    return file


def _bare(file: str) -> str:
    return posixpath.splitext(file)[0]


def _bare_last(file: str) -> str:
    return posixpath.splitext(posixpath.basename(file))[0]
