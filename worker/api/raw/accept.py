"""The `Accept` header of a client that may want a file instead of JSON (RFC 9110, section 12.5.1). Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from worker.job import Output

JSON = "application/json"
ANY_FILE = "application/octet-stream"
"""Every file may be sent as this type."""
MEDIA = frozenset({"image", "video", "audio", "model"})
"""Types whose ranges ask for a file. Others (text/html, application/*) say nothing about outputs."""
TYPES = {"3d": "model"}
"""The type of a kind of outputs, where the two have different names."""
ELEMENT = re.compile(r'(?:"(?:[^"\\]|\\.)*"|[^",])+')
"""One element of the list; a comma inside a quoted parameter does not end it."""
RANGE = re.compile(r"(\*|[\w!#$&^.+-]+)/(\*|[\w!#$&^.+-]+)", re.ASCII)
QUALITY = re.compile(r";\s*q\s*=\s*(0(?:\.\d*)?|1(?:\.0*)?)\s*(?:;|$)", re.IGNORECASE)
HAS_QUALITY = re.compile(r";\s*q\s*=", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class MediaRange:
    """One element of the header; `subtype` and `type` may be `*`. Parameters other than `q` are ignored."""

    type: str
    subtype: str
    q: float

    @property
    def name(self) -> str:
        return f"{self.type}/{self.subtype}"

    @property
    def names_files(self) -> bool:
        return self.type in MEDIA or self.name == ANY_FILE

    @property
    def precision(self) -> int:
        """The range with the highest precision decides about a type."""
        return (self.type != "*") + (self.subtype != "*")

    def covers(self, mime: str) -> bool:
        kind, _, subtype = mime.partition("/")
        return self.type in {"*", kind} and self.subtype in {"*", subtype}


@dataclass(frozen=True, slots=True)
class FileChoice:
    """The file of an answer, and the type that it is sent as."""

    output: Output
    content_type: str


@dataclass(frozen=True, slots=True)
class Accepted:
    """What a client accepts. An empty header accepts anything."""

    ranges: tuple[MediaRange, ...]

    @classmethod
    def read(cls, headers: Iterable[str]) -> Accepted:
        """Parse the values of all `Accept` headers; an element that is malformed is left out."""
        return cls(tuple(_ranges(",".join(headers))))

    @property
    def prefers_files(self) -> bool:
        """Whether some type of file is wanted more than JSON."""
        best = max((one.q for one in self.ranges if one.names_files), default=0.0)
        return best > self.json

    @property
    def json(self) -> float:
        """Quality of JSON, 0 where it is not accepted."""
        return _quality(self.ranges, JSON) or 0.0 if self.ranges else 1.0

    def choose(self, outputs: Sequence[Output]) -> FileChoice | None:
        """Return the file with the highest quality, the first of several; None where JSON is wanted at least as much.

        `application/octet-stream` stands for any file, where no file is of an accepted type.
        """
        files = [output for output in outputs if output.text is None]
        best = max(files, key=self._of_file, default=None)
        if best is not None and self._of_file(best) > 0:
            return FileChoice(best, best.mime) if self._of_file(best) > self.json else None
        any_file = next((one.q for one in self.ranges if one.name == ANY_FILE), 0.0)
        return FileChoice(files[0], ANY_FILE) if files and any_file > self.json else None

    def _of_file(self, output: Output) -> float:
        """Quality of a file by its type, or by its kind where no range has the type: this machine may not know it."""
        ranges = [one for one in self.ranges if one.names_files]
        by_type = _quality(ranges, output.mime)
        return by_type if by_type is not None else _quality(ranges, f"{TYPES.get(output.kind, output.kind)}/*") or 0.0


def _quality(ranges: Sequence[MediaRange], mime: str) -> float | None:
    """Return the quality that the most precise range gives to a type, None where none covers it."""
    covering = [one for one in ranges if one.covers(mime)]
    return max(covering, key=lambda one: (one.precision, one.q)).q if covering else None


def _ranges(header: str) -> Iterator[MediaRange]:
    for element in ELEMENT.findall(header):
        found, quality = RANGE.match(element.strip()), QUALITY.search(element)
        if found is None or (quality is None and HAS_QUALITY.search(element)):
            continue
        yield MediaRange(found[1].lower(), found[2].lower(), float(quality[1]) if quality else 1.0)
