"""Keys of files in a bucket, made from a template. Clients cannot make a key outside of the operator's prefix."""

from __future__ import annotations

import re
import string
import unicodedata
from collections.abc import Mapping
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import PurePosixPath

from worker.errors import StartupError
from worker.job import Job, Output

FIELDS = ("prefix", "date", "month", "id", "job", "node", "index", "filename", "short_name")
KEPT_ASCII = re.compile(r"[\w.@+=-]", re.ASCII)
"""ASCII characters that a key keeps."""
AMBIGUOUS = frozenset("/\\.:%?#&\"'<>*|;`$ \u2044\u2215\u29f8")
"""Characters that a kept character must not normalise to. Some servers treat a full-width slash as a slash."""
KEPT_CATEGORIES = frozenset("LMNPS")
"""Unicode categories of characters that a key keeps: letters, marks, numbers, punctuation, symbols."""
MAX_SEGMENT_BYTES = 240
"""Maximum length of a file name, and of one part of a prefix, in bytes of UTF-8."""
MAX_FIELD_BYTES: Mapping[str, int] = {
    "prefix": 480,
    "date": 10,
    "month": 5,
    "id": 128,
    "job": 36,
    "node": 64,
    "index": 6,
    "filename": MAX_SEGMENT_BYTES,
    "short_name": 24,
}
"""Maximum length of the value of each field, in bytes of UTF-8."""
LONGEST_EXTENSION = 15
MAX_KEY_BYTES = 1024
"""Maximum length of a key in S3, in bytes."""


class KeyTemplate:
    """A template of keys, such as `{prefix}/{date}/{id}/{job}/{filename}`.

    `{date}` is the day on which the job was accepted, in UTC, and `{month}` its month and year, such as `11-26`.
    `{short_name}` is eight hexadecimal digits, which differ for each output of each job, and the extension of the file.
    """

    def __init__(self, template: str) -> None:
        """Parse a template.

        Raises StartupError for unknown fields, a missing name of the file, or keys that would be too long.
        """
        try:
            parts = list(string.Formatter().parse(template))
        except ValueError as error:
            raise StartupError(f"WORKER_S3_KEY={template!r}: {error}") from error
        names = {name for _, name, _, _ in parts if name is not None}
        if unknown := names - set(FIELDS):
            raise StartupError(
                f"WORKER_S3_KEY={template!r}: unknown fields {sorted(unknown)}; known are {', '.join(FIELDS)}"
            )
        has_format = any(format_spec or conversion for _, _, format_spec, conversion in parts)
        if names.isdisjoint(("filename", "short_name")) or has_format:
            raise StartupError(
                f"WORKER_S3_KEY={template!r} must contain {{filename}} or {{short_name}}, and no field may have a "
                "format"
            )
        longest = sum(len(text.encode()) + MAX_FIELD_BYTES.get(name or "", 0) for text, name, _, _ in parts)
        if longest > MAX_KEY_BYTES:
            raise StartupError(
                f"WORKER_S3_KEY={template!r} makes keys of up to {longest} bytes. S3 allows {MAX_KEY_BYTES}: shorten it"
            )
        self._template = template
        self.unique = not names.isdisjoint(("job", "short_name"))
        """Whether the keys of two jobs always differ."""

    def key(self, job: Job, output: Output, prefix: str) -> str:
        """Return the key of an output. It is the same each time, so that a second delivery overwrites the first.

        `prefix` is the configured or requested prefix of the bucket. Empty parts of the key are removed.
        """
        safe_prefix = "/".join(segment(part) for part in prefix.split("/"))
        created_at = datetime.fromtimestamp(job.created_at, UTC)
        values = {
            "prefix": _first_bytes(safe_prefix, MAX_FIELD_BYTES["prefix"]),
            "date": created_at.strftime("%Y-%m-%d"),
            "month": created_at.strftime("%m-%y"),
            "short_name": _short_name(job, output),
            "id": segment(job.id, MAX_FIELD_BYTES["id"]),
            "job": job.folder,
            "node": segment(output.node_id, MAX_FIELD_BYTES["node"]),
            "index": str(output.index),
            "filename": _filename(job, output),
        }
        filled = self._template.format_map(values)
        return "/".join(part for part in filled.split("/") if part.strip("."))  # no empty part, `.` or `..`


def segment(text: str, max_bytes: int = MAX_SEGMENT_BYTES) -> str:
    """Return a text as one part of a key, of at most `max_bytes` bytes in UTF-8. The result may be empty.

    A longer text loses its beginning, because the number and the extension are at the end. Letters of any script are
    kept in composed form (NFC). Characters with a special meaning in a browser, a shell or a server become `_`. Leading
    dots are removed.
    """
    safe = "".join(letter if _is_kept(letter) else "_" for letter in unicodedata.normalize("NFC", text))
    return _last_bytes(safe, max_bytes).lstrip(".")


def _is_kept(letter: str) -> bool:
    """Return whether a key keeps this character. Characters that a server may treat as a special one are not kept."""
    if letter.isascii():
        return KEPT_ASCII.match(letter) is not None
    has_kept_category = unicodedata.category(letter)[0] in KEPT_CATEGORIES
    return has_kept_category and AMBIGUOUS.isdisjoint(unicodedata.normalize("NFKC", letter))


def _first_bytes(text: str, max_bytes: int) -> str:
    """Return the beginning of a text, of at most `max_bytes` bytes in UTF-8, without a cut character."""
    return text.encode()[:max_bytes].decode(errors="ignore")


def _last_bytes(text: str, max_bytes: int) -> str:
    """Return the end of a text, of at most `max_bytes` bytes in UTF-8, without a cut character."""
    return text.encode()[-max_bytes:].decode(errors="ignore")


def _short_name(job: Job, output: Output) -> str:
    """Return a name that nobody can guess, because it depends on the random name of the job's own folder."""
    digits = sha256(f"{job.folder}/{output.index}".encode()).hexdigest()[:8]
    extension = segment(PurePosixPath(output.filename).suffix.lstrip("."), LONGEST_EXTENSION)
    return f"{digits}.{extension}" if extension else digits


def _filename(job: Job, output: Output) -> str:
    """Return the name of an output's file in a key.

    It begins with the index of the output if two files of the job have the same name, or if the name is empty.
    """
    max_bytes = MAX_SEGMENT_BYTES - MAX_FIELD_BYTES["index"] - 1  # leaves space for the index and a hyphen
    file_outputs = [other for other in job.outputs if other.text is None]
    names = [segment(other.filename, max_bytes) for other in file_outputs]
    name = segment(output.filename, max_bytes)
    are_unique = len(set(names)) == len(names)
    return name if name and are_unique else f"{output.index}-{name}"
