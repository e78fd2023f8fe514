"""Names of files in a bucket, from a template that no client can lead out of its prefix."""

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
"""What a character may not become where a server normalises names: a full-width slash is one to some of them."""
KEPT = frozenset("LMNPS")
"""Unicode categories of what a name is written with: letters, marks, numbers, punctuation, symbols."""
LONGEST = 240
"""Bytes of a file's name and of one part of a prefix, in UTF-8."""
MOST_BYTES: Mapping[str, int] = {
    "prefix": 480,
    "date": 10,
    "id": 128,
    "job": 36,
    "node": 64,
    "index": 6,
    "filename": LONGEST,
}
WHOLE = 1024
"""Bytes that S3 takes for a key."""


class KeyTemplate:
    """`{prefix}/{date}/{id}/{job}/{filename}` and the like; `{date}` is the day of acceptance in UTC."""

    def __init__(self, template: str) -> None:
        """Raises StartupError for a template that could not tell two files of a job apart, or with unknown parts."""
        try:
            parts = list(string.Formatter().parse(template))
        except ValueError as error:
            raise StartupError(f"WORKER_S3_KEY={template!r}: {error}") from error
        names = {name for _, name, _, _ in parts if name is not None}
        if unknown := names - set(FIELDS):
            raise StartupError(f"WORKER_S3_KEY={template!r}: unknown {sorted(unknown)}; known: {', '.join(FIELDS)}")
        if "filename" not in names or any(spec or conversion for _, _, spec, conversion in parts):
            raise StartupError(f"WORKER_S3_KEY={template!r} needs {{filename}}, and plain fields only")
        longest = sum(len(text.encode()) + MOST_BYTES.get(name or "", 0) for text, name, _, _ in parts)
        if longest > WHOLE:
            raise StartupError(
                f"WORKER_S3_KEY={template!r} makes keys of up to {longest} bytes, and S3 takes {WHOLE}: shorten it"
            )
        self._template = template
        self.unique = "job" in names
        """Whether no two jobs, of whichever callers, can have the same key."""

    def key(self, job: Job, output: Output, prefix: str) -> str:
        """The same each time: a second delivery overwrites the first one's files."""
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
    """Return one part of a key, at most `longest` bytes in UTF-8: the end of a name, which has number and extension.

    Letters of any script stay as they are, in the composed form (NFC). What a browser, a shell or a server could read
    as more than a name becomes `_`; a part does not begin with a dot.
    """
    safe = "".join(letter if _kept(letter) else "_" for letter in unicodedata.normalize("NFC", text))
    return _last_bytes(safe, longest).lstrip(".")


def _kept(letter: str) -> bool:
    if letter.isascii():
        return PLAIN.match(letter) is not None
    return unicodedata.category(letter)[0] in KEPT and AMBIGUOUS.isdisjoint(unicodedata.normalize("NFKC", letter))


def _first_bytes(text: str, most: int) -> str:
    return text.encode()[:most].decode(errors="ignore")


def _last_bytes(text: str, most: int) -> str:
    return text.encode()[-most:].decode(errors="ignore")


def _filename(job: Job, output: Output) -> str:
    """Two nodes may give their files the same name: then every file of the job carries its number."""
    longest = LONGEST - MOST_BYTES["index"] - 1
    names = [segment(other.filename, longest) for other in job.outputs if other.text is None]
    name = segment(output.filename, longest)
    return name if name and len(set(names)) == len(names) else f"{output.index}-{name}"
