"""Parsing of the `Accept` header of a client that may want a file instead of JSON (RFC 9110, section 12.5.1)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

JSON = "application/json"
ANY_FILE = "application/octet-stream"
"""Type under which any file may be sent."""
FILE_TYPES = frozenset({"image", "video", "audio", "model"})
"""Top-level types that request a file. Others (text/html, application/*) have no effect."""
TYPE_OF_KIND = {"3d": "model"}
"""Top-level type for a kind of output, if the two differ."""
ELEMENT = re.compile(r'(?:"(?:[^"\\]|\\.)*"|[^",])+')
"""One element of the list. A comma inside a quoted parameter does not end it."""
RANGE = re.compile(r"(\*|[\w!#$&^.+-]+)/(\*|[\w!#$&^.+-]+)", re.ASCII)
QUALITY = re.compile(r";\s*q\s*=\s*(0(?:\.\d*)?|1(?:\.0*)?)\s*(?:;|$)", re.IGNORECASE)
HAS_QUALITY = re.compile(r";\s*q\s*=", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class MediaRange:
    """One element of the header. `type` and `subtype` may be `*`. Parameters other than `q` are ignored."""

    type: str
    subtype: str
    q: float

    @property
    def name(self) -> str:
        """Type and subtype, as in the header."""
        return f"{self.type}/{self.subtype}"

    @property
    def names_files(self) -> bool:
        """Whether the range requests files."""
        return self.type in FILE_TYPES or self.name == ANY_FILE

    @property
    def precision(self) -> int:
        """Number of parts that are not `*`. The most precise range determines the quality of a type."""
        return (self.type != "*") + (self.subtype != "*")

    def covers(self, mime: str) -> bool:
        """Return whether the range includes a type."""
        kind, _, subtype = mime.partition("/")
        return self.type in {"*", kind} and self.subtype in {"*", subtype}


class TypedOutput(Protocol):
    """An output of a job. `text` is None for a file."""

    @property
    def mime(self) -> str:
        """MIME type."""

    @property
    def kind(self) -> str:
        """Kind, such as `image`."""

    @property
    def text(self) -> str | None:
        """The text of an output of text."""


Choosable = TypeVar("Choosable", bound=TypedOutput)


@dataclass(frozen=True, slots=True)
class FileChoice(Generic[Choosable]):
    """The output that is sent, and its content type."""

    output: Choosable
    content_type: str


@dataclass(frozen=True, slots=True)
class AcceptHeader:
    """The types that a client accepts. An empty header accepts anything."""

    ranges: tuple[MediaRange, ...]

    @classmethod
    def read(cls, headers: Iterable[str]) -> AcceptHeader:
        """Parse the values of all `Accept` headers. Malformed elements are ignored."""
        return cls(tuple(_ranges(",".join(headers))))

    @property
    def prefers_files(self) -> bool:
        """Whether some type of file has a higher quality than JSON."""
        best = max((media_range.q for media_range in self.ranges if media_range.names_files), default=0.0)
        return best > self.json_quality

    @property
    def json_quality(self) -> float:
        """Quality of JSON. 0 means that it is not accepted. Without a header it is 1."""
        if not self.ranges:
            return 1.0
        return _quality(self.ranges, JSON) or 0.0

    def choose(self, outputs: Sequence[Choosable]) -> FileChoice[Choosable] | None:
        """Return the first file with the highest quality, or None if JSON has at least that quality.

        If no file has an accepted type, the first file is sent as `application/octet-stream` if that is accepted.
        """
        files = [output for output in outputs if output.text is None]
        if not files:
            return None
        best = max(files, key=self._file_quality)
        quality = self._file_quality(best)
        if quality > 0:
            return FileChoice(best, best.mime) if quality > self.json_quality else None
        any_file_quality = next((media_range.q for media_range in self.ranges if media_range.name == ANY_FILE), 0.0)
        return FileChoice(files[0], ANY_FILE) if any_file_quality > self.json_quality else None

    def _file_quality(self, output: TypedOutput) -> float:
        """Return the quality of a file by its type. 0 means that it is not accepted.

        If no range includes the type, the kind of the output decides, because the machine may have no specific type for
        the extension of the file.
        """
        ranges = [media_range for media_range in self.ranges if media_range.names_files]
        quality = _quality(ranges, output.mime)
        if quality is None:
            quality = _quality(ranges, f"{TYPE_OF_KIND.get(output.kind, output.kind)}/*")
        return quality or 0.0


def _quality(ranges: Sequence[MediaRange], mime: str) -> float | None:
    """Return the quality that the most precise range gives to a type, or None if no range includes it."""
    covering = [media_range for media_range in ranges if media_range.covers(mime)]
    return max(covering, key=lambda media_range: (media_range.precision, media_range.q)).q if covering else None


def _ranges(header: str) -> Iterator[MediaRange]:
    """Yield the ranges in a header. Malformed elements are left out."""
    for element in ELEMENT.findall(header):
        match, quality = RANGE.match(element.strip()), QUALITY.search(element)
        has_malformed_quality = quality is None and HAS_QUALITY.search(element)
        if match is None or has_malformed_quality:
            continue
        yield MediaRange(match[1].lower(), match[2].lower(), float(quality[1]) if quality else 1.0)
