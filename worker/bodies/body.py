"""A request body after it was read: a JSON value in which long strings are files."""

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
    """A JSON value and its long strings.

    `value` has a SpooledText at the `location` of each element of `spooled`, until `restore_texts` puts the string
    back.
    """

    value: Any
    spooled: Sequence[SpooledText]
    limits: BodyLimits
    folder: SpoolFolder | None = None
    """Folder of the files. None for a body in which no string can be long."""

    async def restore_texts(self, files_under: JsonPath | None = None) -> None:
        """Replace each SpooledText in the value by the string in its file, except those inside `files_under`.

        For example, `files_under` is `("input", "images")` for the files in `{"input": {"images": [...]}}`. None means
        that all strings are replaced.

        Raises BodyTooLarge if the strings have more than `limits.max_restored` bytes together.
        """
        depth = len(files_under) if files_under is not None else 0
        texts = [text for text in self.spooled if files_under is None or text.location[:depth] != files_under]
        remaining_bytes = self.limits.max_restored
        for text in texts:
            if text.size > remaining_bytes:
                raise BodyTooLarge(
                    f"the text at {text.name} has {text.size} bytes; all texts that are not files may have "
                    f"{self.limits.max_restored} bytes together"
                )
            remaining_bytes -= text.size
        for text in texts:
            self._set_at(text.location, await text.text(text.size))
        self.spooled = [text for text in self.spooled if text not in texts]

    def sub_body(self, key: str | int) -> ScannedBody:
        """Return the value under a key or an index as a body of its own.

        The locations of its long strings become relative to it, also in this body.
        """
        spooled = [text for text in self.spooled if text.location[:1] == (key,)]
        for text in spooled:
            text.location = text.location[1:]
        return ScannedBody(self.value[key], spooled, self.limits, self.folder)

    def replace(self, text: SpooledText, value: str) -> None:
        """Replace a long string in the value by a short one."""
        self._set_at(text.location, value)
        self.spooled = [other for other in self.spooled if other is not text]

    def replace_with_item(self, key: str | int) -> None:
        """Replace the whole value by one of its items or fields."""
        self.value = self.value[key]
        self.spooled = [text for text in self.spooled if text.location[:1] == (key,)]
        for text in self.spooled:
            text.location = text.location[1:]

    def nest_under(self, *location: str | int) -> None:
        """Move the whole value under these keys, as new objects inside each other."""
        for text in self.spooled:
            text.location = (*location, *text.location)
        for key in reversed(location):
            self.value = {key: self.value}

    def rename(self, old: JsonPath, new: JsonPath) -> None:
        """Move the value at one location to another key of the same object."""
        container = self.value
        for key in old[:-1]:
            container = container[key]
        container[new[-1]] = container.pop(old[-1])
        for text in self.spooled:
            if text.location[: len(old)] == old:
                text.location = (*new, *text.location[len(old) :])

    def graft(self, location: JsonPath, other: ScannedBody) -> None:
        """Replace the value at `location` by the value of another body, with its long strings."""
        remaining_texts = [text for text in self.spooled if text.location[: len(location)] != location]
        for text in other.spooled:
            text.location = (*location, *text.location)
        self._set_at(location, other.value)
        self.spooled = [*remaining_texts, *other.spooled]

    def drop_detached_texts(self) -> None:
        """Remove long strings from `spooled` that are no longer in the value."""
        self.spooled = [text for text in self.spooled if self._value_at(text.location) is text]

    def fingerprint(self) -> str:
        """Return a hash that is equal for equal JSON values, independent of whitespace, escapes and the order of keys.

        A long string counts with its location and its hash. A restored string counts as a string, so call this at the
        same point of every request.
        """
        json = orjson.dumps(self.value, default=_encode_long_string, option=orjson.OPT_SORT_KEYS)
        long_strings = sorted(orjson.dumps([text.location, text.sha256]) for text in self.spooled)
        return hashlib.sha256(b"\n".join([json, *long_strings])).hexdigest()

    def _value_at(self, location: JsonPath) -> object:
        """Return the value at a location, or None if the location does not exist."""
        value = self.value
        for key in location:
            try:
                value = value[key]
            except (KeyError, IndexError, TypeError):
                return None
        return value

    def _set_at(self, location: JsonPath, value: Any) -> None:  # noqa: ANN401 - JSON
        """Set the value at a location."""
        if not location:
            self.value = value
            return
        container = self.value
        for key in location[:-1]:
            container = container[key]
        container[location[-1]] = value


def _encode_long_string(value: object) -> None:
    """Return None for a SpooledText, so that orjson encodes a long string as null. Raises TypeError for other values.

    The fingerprint has the location and the hash of the string instead.
    """
    if not isinstance(value, SpooledText):
        raise TypeError(f"{type(value).__name__} is not JSON")
