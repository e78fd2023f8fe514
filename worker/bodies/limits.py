"""How large a request body and its parts may be, and how deep its JSON."""

from __future__ import annotations

from dataclasses import dataclass

from worker.errors import BodyTooLarge, InvalidJson

KIB = 1024
MIB = 1024 * KIB
PIECE = 256 * KIB
"""Bytes that hold the event loop for about 1 ms while they are scanned and decoded."""

DEEPEST_JSON = 100
"""Levels of lists and objects in a client's JSON. The deepest of 900 workflows and catalogs that we have seen has 25.

Code behind the parser may recurse over a value, also when a few bodies were put into each other: orjson writes 254
levels, and Python ends at 1,000 calls.
"""


def check_depth(value: object, what: str) -> None:
    """Raise InvalidJson, which calls the text `what`, where lists and objects are nested deeper than DEEPEST_JSON."""
    level = [value] if isinstance(value, list | dict) else []
    for _ in range(DEEPEST_JSON):
        inside = (item.values() if isinstance(item, dict) else item for item in level)
        level = [item for items in inside for item in items if isinstance(item, list | dict)]
        if not level:
            return
    raise InvalidJson(f"{what} has lists and objects nested deeper than {DEEPEST_JSON} levels")


def parse_units(json: bytes | bytearray, start: int = 0, end: int | None = None) -> int:
    """Return what a part of JSON takes to parse: one unit a comma, 5 a colon, 10 a list or object."""
    containers = json.count(b"[", start, end) + json.count(b"{", start, end)
    return json.count(b",", start, end) + 5 * json.count(b":", start, end) + 10 * containers


@dataclass(frozen=True, slots=True)
class BodyLimits:
    """Bounds on one JSON body. Sizes are in bytes.

    The JSON that remains without its long strings is parsed on the event loop, and a parser in C can't be interrupted.
    Another process would not help: rebuilding the value from what that process sends takes as long as parsing it. So
    what would take longer than about 20 ms, or whose walk takes
    much longer, is refused. Time depends on objects and keys more than on bytes, hence
    `units`: one for each comma, 5 for each colon, 10 for each list or object. The densest workflow that we have seen
    has 740,000 units a MiB, and the largest has 190 KiB.
    """

    total: int
    text: int = 64 * KIB
    """Strings whose text is longer than this, in UTF-8, go to files."""
    skeleton: int = 4 * MIB
    """The JSON without its long strings."""
    units: int = 400_000
    restored: int = 4 * MIB
    """Long strings that are read back into memory because they are not files."""
    piece: int = PIECE
    """What is scanned, decoded and written at a time."""
    excess: str = ""
    """The sentence for a body above `total`, where that is not the operator's limit."""

    def check_total(self, size: int) -> None:
        """Raise BodyTooLarge above the limit for the whole body."""
        if size > self.total:
            raise BodyTooLarge(self.excess or f"the body is larger than {self.total / MIB:g} MiB (WORKER_MAX_BODY_MIB)")

    def check_skeleton(self, size: int, units: int) -> None:
        """Raise BodyTooLarge where the JSON without its long strings is too large to be parsed at once."""
        if size > self.skeleton:
            raise BodyTooLarge(
                f"the JSON without its strings above {self.text // KIB} KiB is larger than {self.skeleton / MIB:g} MiB"
                ": send files as base64 in one string each, by URL or as multipart/form-data"
            )
        self.check_units(units)

    def check_units(self, units: int) -> None:
        """Raise BodyTooLarge where JSON would take too long to parse, and its value to walk over."""
        if units > self.units:
            raise BodyTooLarge("the JSON has too many objects, lists and values to be a workflow")
