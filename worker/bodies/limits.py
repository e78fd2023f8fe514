"""Limits on the size of a request body and its parts, and on the depth of its JSON."""

from __future__ import annotations

from dataclasses import dataclass

from worker.errors import BodyTooLarge, InvalidJson

KIB = 1024
MIB = 1024 * KIB
PIECE = 256 * KIB
"""Bytes that take about 1 ms to scan and decode on the event loop."""

DEEPEST_JSON = 100
"""Levels of nested lists and objects in JSON from clients. The deepest of 900 real workflows and catalogs has 25.

Later code may recurse over a value, and several bodies may be nested in each other. orjson writes at most 254 levels,
and Python's recursion limit is 1,000.
"""


def check_depth(value: object, subject: str) -> None:
    """Raise InvalidJson if lists and objects are nested deeper than DEEPEST_JSON.

    `subject` names the text in the message.
    """
    containers = [value] if isinstance(value, list | dict) else []  # those of one level
    for _ in range(DEEPEST_JSON):
        items_by_container = (item.values() if isinstance(item, dict) else item for item in containers)
        containers = [item for items in items_by_container for item in items if isinstance(item, list | dict)]
        if not containers:
            return
    raise InvalidJson(f"{subject} has lists and objects nested deeper than {DEEPEST_JSON} levels")


def parse_units(json: bytes | bytearray, start: int = 0, end: int | None = None) -> int:
    """Return the estimated cost of parsing a part of JSON.

    It is 1 for each comma, 5 for each colon, and 10 for each list or object.
    """
    containers = json.count(b"[", start, end) + json.count(b"{", start, end)
    return json.count(b",", start, end) + 5 * json.count(b":", start, end) + 10 * containers


@dataclass(frozen=True, slots=True)
class BodyLimits:
    """Limits on one JSON body. Sizes are in bytes.

    The JSON without its long strings is parsed on the event loop, and orjson cannot be interrupted. Another process
    would not help, because receiving the value from it takes as long as parsing. Bodies that would take more than about
    20 ms are rejected.

    The time depends more on objects and keys than on bytes. It is estimated in `units`, which `parse_units` counts. The
    densest real workflow has 740,000 units per MiB, and the largest has 190 KiB.
    """

    total: int
    text: int = 64 * KIB
    """Strings longer than this in UTF-8 are written to files."""
    skeleton: int = 4 * MIB
    """Largest JSON without its long strings."""
    units: int = 400_000
    """Largest cost of parsing that JSON, as `parse_units` counts it."""
    max_restored: int = 4 * MIB
    """Largest total of the long strings that are read back into memory because they are not files."""
    piece: int = PIECE
    """Bytes that are scanned, decoded and written at a time."""
    total_message: str = ""
    """Error message for a body above `total`, if that limit does not come from WORKER_MAX_BODY_MIB."""

    def check_total(self, size: int) -> None:
        """Raise BodyTooLarge if the whole body is larger than `total`."""
        if size > self.total:
            default_message = f"the body is larger than {self.total / MIB:g} MiB (WORKER_MAX_BODY_MIB)"
            raise BodyTooLarge(self.total_message or default_message)

    def check_skeleton(self, size: int, units: int) -> None:
        """Raise BodyTooLarge if the JSON without its long strings is too large to be parsed on the event loop.

        `size` is in bytes, and `units` is its cost by `parse_units`.
        """
        if size > self.skeleton:
            raise BodyTooLarge(
                f"the JSON without its strings above {self.text // KIB} KiB is larger than {self.skeleton / MIB:g} MiB"
                ": send files as base64 in one string each, by URL or as multipart/form-data"
            )
        self.check_units(units)

    def check_units(self, units: int) -> None:
        """Raise BodyTooLarge if JSON would take too long to parse."""
        if units > self.units:
            raise BodyTooLarge("the JSON has too many objects, lists and values to be a workflow")
