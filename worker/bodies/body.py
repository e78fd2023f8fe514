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
        """Read long strings that are not files back into the value.

        Strings under `files_under` stay files. The value then has `str` everywhere else. A list index may follow
        `files_under`: the files of `{"input": {"images": [...]}}` are under `("input", "images")`.

        Raises BodyTooLarge if the strings have more than `limits.restored` bytes together.
        """
        depth = len(files_under) if files_under is not None else 0
        texts = [text for text in self.spooled if files_under is None or text.location[:depth] != files_under]
        remaining = self.limits.restored
        for text in texts:
            if text.size > remaining:
                raise BodyTooLarge(
                    f"the text at {text.name} has {text.size} bytes; all texts that are not files may have "
                    f"{self.limits.restored} bytes together"
                )
            remaining -= text.size
        for text in texts:
            self._put(text.location, await text.text(text.size))
        self.spooled = [text for text in self.spooled if text not in texts]

    def sub_body(self, key: str) -> ScannedBody:
        """Return the value under a key of this object as a body of its own. Locations are relative to it."""
        spooled = [text for text in self.spooled if text.location[:1] == (key,)]
        for text in spooled:
            text.location = text.location[1:]
        return ScannedBody(self.value[key], spooled, self.limits, self.folder)

    def replace(self, text: SpooledText, value: str) -> None:
        """Replace a long string by a short one."""
        self._put(text.location, value)
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
        """Replace what is at `location` by the value of another body."""
        kept = [text for text in self.spooled if text.location[: len(location)] != location]
        for text in other.spooled:
            text.location = (*location, *text.location)
        self._put(location, other.value)
        self.spooled = [*kept, *other.spooled]

    def drop_detached_texts(self) -> None:
        """Remove long strings from `spooled` that are no longer in the value."""
        self.spooled = [text for text in self.spooled if self._at(text.location) is text]

    def fingerprint(self) -> str:
        """Return a hash that is equal for equal JSON values, independent of whitespace, escapes and the order of keys.

        A long string counts with its location and its hash. A restored string counts as a string, so call this at the
        same point of every request.
        """
        json = orjson.dumps(self.value, default=_encode_long_string, option=orjson.OPT_SORT_KEYS)
        long_strings = sorted(orjson.dumps([text.location, text.sha256]) for text in self.spooled)
        return hashlib.sha256(b"\n".join([json, *long_strings])).hexdigest()

    def _at(self, location: JsonPath) -> object:
        """Return the value at a location, or None if the location does not exist."""
        value = self.value
        for key in location:
            try:
                value = value[key]
            except (KeyError, IndexError, TypeError):
                return None
        return value

    def _put(self, location: JsonPath, value: Any) -> None:  # noqa: ANN401 - JSON
        """Set the value at a location."""
        if not location:
            self.value = value
            return
        container = self.value
        for key in location[:-1]:
            container = container[key]
        container[location[-1]] = value


def _encode_long_string(value: object) -> None:
    """Encode a long string as null: orjson uses the returned None.

    The hash of the string is added to the fingerprint with its location.
    """
    if not isinstance(value, SpooledText):
        raise TypeError(f"{type(value).__name__} is not JSON")
