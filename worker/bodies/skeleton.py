"""The JSON of a body in which placeholders stand for long strings."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from worker.bodies.json_error import BODY, excerpt, invalid_json, mistake_remedy
from worker.bodies.limits import check_depth
from worker.bodies.long_string import BadString, LongString
from worker.bodies.spooled import JsonPath, SpooledText
from worker.errors import InvalidJson

Container = list[Any] | dict[Any, Any]
WINDOW = 200
"""Characters around an error from which an excerpt is taken. They contain complete placeholders."""
COLON = re.compile(rb'"[ \t\r\n]*:')


@dataclass(frozen=True, slots=True)
class Replacement:
    """A string of the body and the text that stands for it in the skeleton.

    `offset` is in bytes of the skeleton. `characters` is the length of the string in the body. `string` is None if the
    text is the string itself.
    """

    offset: int
    placeholder: str
    characters: int
    string: LongString | None


@dataclass(frozen=True, slots=True)
class JsonPosition:
    """A character of the skeleton. `line` counts from 1, and `line_start` is the first character of the line."""

    at: int
    line_start: int
    line: int


@dataclass(frozen=True, slots=True)
class JsonSkeleton:
    """JSON with placeholders, and the strings that they stand for."""

    json: bytes
    replacements: Sequence[Replacement]

    def parse(self) -> tuple[Any, list[SpooledText], list[LongString]]:
        """Return three things: the value, the long strings in it, and the long strings that are not in it.

        A string is not in the value if its key occurs again in the object. Raises InvalidJson with the position in the
        body.
        """
        self._check_keys()
        try:
            value = orjson.loads(self.json)
        except orjson.JSONDecodeError as error:
            raise self._parse_error(error) from None
        check_depth(value, BODY)
        strings = {
            replacement.placeholder: replacement.string for replacement in self.replacements if replacement.string
        }
        root = [value]  # a list, so that the value itself can be replaced if it is a long string
        spooled = list(_insert_texts(root, strings)) if strings else []  # removes the inserted strings from `strings`
        return root[0], spooled, list(strings.values())

    def error(self, message: str, offset: int, bad_string: BadString | None = None) -> InvalidJson:
        """Return the error for the byte at `offset` of the skeleton, or inside the string that begins there.

        `bad_string` has the position in the string. Without it, the error is at the byte itself.
        """
        before = self.json[:offset].decode(errors="replace")
        position = JsonPosition(len(before), before.rfind("\n") + 1, before.count("\n") + 1)
        if bad_string is None:
            return self._positioned_error(message, position, 0, self._excerpt(position.at))
        return self._positioned_error(message, position, bad_string.offset, bad_string.near)

    def _check_keys(self) -> None:
        """Raise InvalidJson if a placeholder is a key."""
        for replacement in self.replacements:
            end = replacement.offset + len(replacement.placeholder.encode())
            if replacement.string and COLON.match(self.json, end):
                raise self.error("an object has a key that is too long to be the name of a field", replacement.offset)

    def _parse_error(self, error: orjson.JSONDecodeError) -> InvalidJson:
        """Return the error of orjson with the position in the body."""
        position = JsonPosition(error.pos, error.pos - error.colno + 1, error.lineno)
        remedy = mistake_remedy(self.json.decode(errors="replace"), error.pos)
        return self._positioned_error(error.msg, position, 0, self._excerpt(error.pos), remedy)

    def _positioned_error(
        self, message: str, position: JsonPosition, extra: int, context: str, remedy: str | None = None
    ) -> InvalidJson:
        """Return an error with its position in the body, in orjson's form: `line 1 column 5 (char 4)`.

        The error is `extra` characters of the body after `position`, which is in the skeleton.
        """
        earlier_shifts = [(end, shift) for end, shift in self._shifts() if end <= position.at]
        character = position.at + extra + sum(shift for _, shift in earlier_shifts)
        shift_in_line = sum(shift for end, shift in earlier_shifts if end > position.line_start)
        column = position.at - position.line_start + 1 + extra + shift_in_line
        return invalid_json(
            BODY, f"{message}: line {position.line} column {column} (char {character})", context, remedy
        )

    def _excerpt(self, position: int) -> str:
        """Return the skeleton around a character. Long strings are shown as an ellipsis."""
        start = max(0, position - WINDOW)
        text = self.json.decode(errors="replace")[start : position + WINDOW]
        first_long = next((replacement for replacement in self.replacements if replacement.string), None)
        if first_long is not None:
            # All placeholders are the same prefix and a number. `\0` keeps the length, and `excerpt` removes it.
            placeholder = re.compile(first_long.placeholder.rpartition("-")[0] + r"-\d+")
            text = placeholder.sub(lambda match: "…".ljust(len(match[0]), "\0"), text)
        return excerpt(text, position - start)

    def _shifts(self) -> Iterator[tuple[int, int]]:
        """Yield, for each replacement, its end in the skeleton and how much longer its string is in the body.

        Both are in characters.
        """
        offset = position = 0
        for replacement in self.replacements:
            text_between = self.json[offset : replacement.offset].decode(errors="replace")
            position += len(text_between) + len(replacement.placeholder)
            offset = replacement.offset + len(replacement.placeholder.encode())
            yield position, replacement.characters - len(replacement.placeholder)


def _insert_texts(root: list[Any], strings: dict[str, LongString]) -> Iterator[SpooledText]:
    """Replace placeholders by their long strings as SpooledText, and yield these.

    `root` is a list with only the value. `strings` are by placeholder, and each is removed when it is inserted.

    The walk is iterative because orjson accepts 1,024 levels. It keeps nothing for finished containers, so that it does
    not trigger the garbage collector.
    """
    keys: list[str | int] = []
    open_containers: list[tuple[Container, Iterator[tuple[Any, Any]]]] = [(root, enumerate(root))]
    while open_containers:
        container, items = open_containers[-1]
        for key, item in items:
            if isinstance(item, str) and item in strings:
                location = (*keys, key)[1:]  # without the index in `root`
                container[key] = spooled_text = _spooled_text(strings.pop(item), location)
                yield spooled_text
                if not strings:
                    return
            elif isinstance(item, list | dict):
                keys.append(key)
                open_containers.append((item, iter(item.items()) if isinstance(item, dict) else enumerate(item)))
                break  # continue inside this container
        else:  # all items of the container were read
            open_containers.pop()
            if keys:
                keys.pop()


def _spooled_text(string: LongString, location: JsonPath) -> SpooledText:
    """Return the object that replaces a long string in the parsed body. The string's file must be complete."""
    assert string.path is not None  # noqa: S101 - long strings are written before the JSON is parsed
    return SpooledText(string.path, string.size, string.sha256, location)
