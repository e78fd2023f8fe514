"""The JSON that remains of a body when its long strings are files."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from worker.bodies.json_error import BODY, foreign_cure, invalid, piece
from worker.bodies.limits import check_depth
from worker.bodies.long_string import BadString, LongString
from worker.bodies.spooled import JsonPath, SpooledText
from worker.errors import InvalidJson

Container = list[Any] | dict[Any, Any]
WINDOW = 200
"""Characters in which a piece to show, and the placeholders in it, lie whole."""
COLON = re.compile(rb'"[ \t\r\n]*:')


@dataclass(frozen=True, slots=True)
class Replacement:
    """What stands in the rest for a string of the body.

    `offset` is in bytes of the rest, `characters` the length of the string as it is written in the body. `string` is
    None where its text stands here itself.
    """

    offset: int
    standing: str
    characters: int
    string: LongString | None


@dataclass(frozen=True, slots=True)
class JsonPosition:
    """A character of the rest; `line_start` is the first one of its line, and `line` counts from 1."""

    at: int
    line_start: int
    line: int


@dataclass(frozen=True, slots=True)
class JsonSkeleton:
    """Small JSON with placeholders, and the strings that they stand for."""

    json: bytes
    replacements: Sequence[Replacement]

    def parse(self) -> tuple[Any, list[SpooledText], list[LongString]]:
        """Return the value, the long strings in it, and those that another value of the same key has replaced.

        Raises InvalidJson with the position in the body.
        """
        self._check_keys()
        try:
            value = orjson.loads(self.json)
        except orjson.JSONDecodeError as error:
            raise self._moved(error) from None
        check_depth(value, BODY)
        strings = {found.standing: found.string for found in self.replacements if found.string}
        box = [value]
        spooled = list(_placed(box, strings)) if strings else []
        return box[0], spooled, list(strings.values())

    def error(self, message: str, offset: int, bad: BadString | None = None) -> InvalidJson:
        """Return the error for what is wrong at a byte of the rest, or inside the string that begins there."""
        before = self.json[:offset].decode(errors="replace")
        place = JsonPosition(len(before), before.rfind("\n") + 1, before.count("\n") + 1)
        if bad is None:
            return self._located(message, place, 0, self._piece(place.at))
        return self._located(message, place, bad.offset, bad.near)

    def _check_keys(self) -> None:
        for found in self.replacements:
            end = found.offset + len(found.standing.encode())
            if found.string and COLON.match(self.json, end):
                raise self.error("an object has a key that is longer than any field's name", found.offset)

    def _moved(self, error: orjson.JSONDecodeError) -> InvalidJson:
        place = JsonPosition(error.pos, error.pos - error.colno + 1, error.lineno)
        cure = foreign_cure(self.json.decode(errors="replace"), error.pos)
        return self._located(error.msg, place, 0, self._piece(error.pos), cure)

    def _located(self, message: str, place: JsonPosition, more: int, near: str, cure: str | None = None) -> InvalidJson:
        """Name a place as orjson does: `more` characters of the body after `place`."""
        moved = [(end, longer) for end, longer in self._shifts() if end <= place.at]
        character = place.at + more + sum(shift for _, shift in moved)
        column = place.at - place.line_start + 1 + more + sum(shift for end, shift in moved if end > place.line_start)
        return invalid(BODY, f"{message}: line {place.line} column {column} (char {character})", near, cure)

    def _piece(self, at: int) -> str:
        """Return the text around a character of the rest, in which long strings are left out."""
        start = max(0, at - WINDOW)
        text = self.json.decode(errors="replace")[start : at + WINDOW]
        if long := next((found for found in self.replacements if found.string), None):
            placeholder = re.compile(long.standing.rpartition("-")[0] + r"-\d+")
            text = placeholder.sub(lambda match: "…".ljust(len(match[0]), "\0"), text)
        return piece(text, at - start)

    def _shifts(self) -> Iterator[tuple[int, int]]:
        """Yield where each replacement ends in the rest, and by how much the string in the body is longer."""
        offset = place = 0
        for found in self.replacements:
            place += len(self.json[offset : found.offset].decode(errors="replace")) + len(found.standing)
            offset = found.offset + len(found.standing.encode())
            yield place, found.characters - len(found.standing)


def _placed(box: list[Any], strings: dict[str, LongString]) -> Iterator[SpooledText]:
    """Put long strings where their placeholders stand and yield them; those that are left in `strings` stand nowhere.

    `box` holds the value. Not recursive, because orjson accepts 1,024 levels. Nothing is kept for containers that are
    done, so that no garbage collection is set off.
    """
    keys: list[str | int] = []
    open_containers: list[tuple[Container, Iterator[tuple[Any, Any]]]] = [(box, enumerate(box))]
    while open_containers:
        container, items = open_containers[-1]
        for key, item in items:
            if isinstance(item, str) and item in strings:
                container[key] = spooled = _spooled(strings.pop(item), (*keys, key)[1:])
                yield spooled
                if not strings:
                    return
            elif isinstance(item, list | dict):
                keys.append(key)
                open_containers.append((item, iter(item.items()) if isinstance(item, dict) else enumerate(item)))
                break
        else:
            open_containers.pop()
            if keys:
                keys.pop()


def _spooled(string: LongString, location: JsonPath) -> SpooledText:
    assert string.path is not None  # noqa: S101 - long strings are written before the rest is parsed
    return SpooledText(string.path, string.size, string.sha256, location)
