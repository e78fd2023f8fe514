"""Keys of files in a bucket, made from a template. Clients cannot make a key outside of the operator's prefix."""

from __future__ import annotations

import re
import string
import unicodedata
from collections.abc import Mapping
from datetime import UTC, datetime

from worker.errors import StartupError
from worker.job import Job, Output

FIELDS = ("prefix", "date", "id", "job", "node", "index", "filename")
PLAIN = re.compile(r"[\w.@+=-]", re.ASCII)
"""ASCII characters that a key keeps."""
AMBIGUOUS = frozenset("/\\.:%?#&\"'<>*|;`$ \u2044\u2215\u29f8")
"""Characters that a kept character must not normalise to. Some servers treat a full-width slash as a slash."""
KEPT = frozenset("LMNPS")
"""Unicode categories of characters that a key keeps: letters, marks, numbers, punctuation, symbols."""
LONGEST = 240
"""Most bytes of a file name, and of one part of a prefix, in UTF-8."""
MOST_BYTES: Mapping[str, int] = {
    "prefix": 480,
    "date": 10,
    "id": 128,
    "job": 36,
    "node": 64,
    "index": 6,
    "filename": LONGEST,
}
LONGEST_KEY = 1024
"""Most bytes of a key in S3."""


class KeyTemplate:
    """A template of keys, such as `{prefix}/{date}/{id}/{job}/{filename}`.

    `{date}` is the day on which the job was accepted, in UTC.
    """

    def __init__(self, template: str) -> None:
        """Raises StartupError for unknown fields, a missing `{filename}`, or keys that would be too long."""
        try:
            parts = list(string.Formatter().parse(template))
        except ValueError as error:
            raise StartupError(f"WORKER_S3_KEY={template!r}: {error}") from error
        names = {name for _, name, _, _ in parts if name is not None}
        if unknown := names - set(FIELDS):
            raise StartupError(f"WORKER_S3_KEY={template!r}: unknown {sorted(unknown)}; known: {', '.join(FIELDS)}")
        if "filename" not in names or any(spec or conversion for _, _, spec, conversion in parts):
            raise StartupError(f"WORKER_S3_KEY={template!r} must contain {{filename}}, and fields without a format")
        longest = sum(len(text.encode()) + MOST_BYTES.get(name or "", 0) for text, name, _, _ in parts)
        if longest > LONGEST_KEY:
            raise StartupError(
                f"WORKER_S3_KEY={template!r} makes keys of up to {longest} bytes. S3 allows {LONGEST_KEY}: shorten it"
            )
        self._template = template
        self.unique = "job" in names
        """Whether the keys of two jobs always differ."""

    def key(self, job: Job, output: Output, prefix: str) -> str:
        """Return the key of an output. It is the same each time, so a second delivery overwrites the first."""
        values = {
            "prefix": _first_bytes("/".join(map(segment, prefix.split("/"))), MOST_BYTES["prefix"]),
            "date": datetime.fromtimestamp(job.created_at, UTC).strftime("%Y-%m-%d"),
            "id": segment(job.id, MOST_BYTES["id"]),
            "job": job.folder,
            "node": segment(output.node_id, MOST_BYTES["node"]),
            "index": str(output.index),
            "filename": _filename(job, output),
        }
        filled = self._template.format_map(values)
        return "/".join(part for part in filled.split("/") if part.strip("."))


def segment(text: str, longest: int = LONGEST) -> str:
    """Return a text as one part of a key, of at most `longest` bytes in UTF-8.

    A longer text loses its beginning, because the number and the extension are at the end. Letters of any script are
    kept in composed form (NFC). Characters with a special meaning in a browser, a shell or a server become `_`. Leading
    dots are removed.
    """
    safe = "".join(letter if _kept(letter) else "_" for letter in unicodedata.normalize("NFC", text))
    return _last_bytes(safe, longest).lstrip(".")


def _kept(letter: str) -> bool:
    """Return True if a key keeps this character."""
    if letter.isascii():
        return PLAIN.match(letter) is not None
    return unicodedata.category(letter)[0] in KEPT and AMBIGUOUS.isdisjoint(unicodedata.normalize("NFKC", letter))


def _first_bytes(text: str, most: int) -> str:
    return text.encode()[:most].decode(errors="ignore")


def _last_bytes(text: str, most: int) -> str:
    return text.encode()[-most:].decode(errors="ignore")


def _filename(job: Job, output: Output) -> str:
    """Return the name of an output's file. If two files of the job have the same name, all names get a number."""
    longest = LONGEST - MOST_BYTES["index"] - 1
    names = [segment(other.filename, longest) for other in job.outputs if other.text is None]
    name = segment(output.filename, longest)
    return name if name and len(set(names)) == len(names) else f"{output.index}-{name}"
