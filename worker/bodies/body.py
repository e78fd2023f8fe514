"""A request body that was read: a JSON value in which long strings are files."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from worker.bodies.folder import SpoolFolder
from worker.bodies.limits import BodyLimits
from worker.bodies.spooled import JsonPath, SpooledText
from worker.errors import BodyTooLarge


@dataclass(slots=True)
class ScannedBody:
    """`value` holds each of `spooled` at its `location`, until `restore_texts` puts the string back."""

    value: Any
    spooled: Sequence[SpooledText]
    limits: BodyLimits
    folder: SpoolFolder | None = None
    """Where the long strings lie; None where there can be none."""

    async def restore_texts(self, files_under: JsonPath | None = None) -> None:
        """Read the long strings back that are not files: those outside the value at `files_under`.

        `read` of a dialect then finds a `str` everywhere but where it expects files. A list index in `files_under`
        is written as it stands: the files of `{"input": {"images": [...]}}` are under `("input", "images")`.

        Raises BodyTooLarge where they have more than `limits.restored` bytes together.
        """
        depth = len(files_under) if files_under is not None else 0
        texts = [text for text in self.spooled if files_under is None or text.location[:depth] != files_under]
        left = self.limits.restored
        for text in texts:
            if text.size > left:
                raise BodyTooLarge(
                    f"the text at {text.name} has {text.size} bytes; texts that are not files may have "
                    f"{self.limits.restored} bytes in all"
                )
            left -= text.size
        for text in texts:
            self._put(text.location, await text.text(text.size))
        self.spooled = [text for text in self.spooled if text not in texts]

    def sub_body(self, key: str) -> ScannedBody:
        """Return the value under a key of this object as a body of its own, whose places begin there."""
        spooled = [text for text in self.spooled if text.location[:1] == (key,)]
        for text in spooled:
            text.location = text.location[1:]
        return ScannedBody(self.value[key], spooled, self.limits, self.folder)

    def replace(self, text: SpooledText, value: str) -> None:
        """Put a short string where a long one stands."""
        self._put(text.location, value)
        self.spooled = [other for other in self.spooled if other is not text]

    def replace_with_item(self, key: str | int) -> None:
        """Make an item of a list, or a field of an object, the whole value."""
        self.value = self.value[key]
        self.spooled = [text for text in self.spooled if text.location[:1] == (key,)]
        for text in self.spooled:
            text.location = text.location[1:]

    def nest_under(self, *location: str | int) -> None:
        """Move the whole value below these keys, which have to be names."""
        for text in self.spooled:
            text.location = (*location, *text.location)
        for key in reversed(location):
            self.value = {key: self.value}

    def rename(self, old: JsonPath, new: JsonPath) -> None:
        """Move what is below one place to another one; both have the same parent, an object."""
        container = self.value
        for key in old[:-1]:
            container = container[key]
        container[new[-1]] = container.pop(old[-1])
        for text in self.spooled:
            if text.location[: len(old)] == old:
                text.location = (*new, *text.location[len(old) :])

    def graft(self, location: JsonPath, other: ScannedBody) -> None:
        """Put another body's value in the place of what stands at `location`."""
        kept = [text for text in self.spooled if text.location[: len(location)] != location]
        for text in other.spooled:
            text.location = (*location, *text.location)
        self._put(location, other.value)
        self.spooled = [*kept, *other.spooled]

    def drop_detached_texts(self) -> None:
        """Forget the long strings that stand nowhere in the value any more."""
        self.spooled = [text for text in self.spooled if self._at(text.location) is text]

    def fingerprint(self) -> str:
        """Return a hash that is the same for the same JSON value, however it is written.

        Long strings are hashed as they arrive and count with their place. Strings that were restored count as
        strings, so call this at the same point of every request.
        """
        rest = orjson.dumps(self.value, default=_nothing, option=orjson.OPT_SORT_KEYS)
        places = sorted(orjson.dumps([text.location, text.sha256]) for text in self.spooled)
        return hashlib.sha256(b"\n".join([rest, *places])).hexdigest()

    def _at(self, location: JsonPath) -> object:
        value = self.value
        for key in location:
            try:
                value = value[key]
            except (KeyError, IndexError, TypeError):
                return None
        return value

    def _put(self, location: JsonPath, text: Any) -> None:  # noqa: ANN401 - JSON
        if not location:
            self.value = text
            return
        container = self.value
        for key in location[:-1]:
            container = container[key]
        container[location[-1]] = text


def _nothing(value: object) -> None:
    """Stand in the hashed JSON for a long string, whose hash follows with its place."""
    if not isinstance(value, SpooledText):
        raise TypeError(f"{type(value).__name__} is not JSON")
