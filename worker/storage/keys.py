"""Names of files in a bucket, from a template that no client can lead out of its prefix."""

from __future__ import annotations

import re
import string
from datetime import UTC, datetime

from worker.errors import StartupError
from worker.job import Job, Output

FIELDS = ("prefix", "date", "id", "job", "node", "index", "filename")
UNSAFE = re.compile(r"[^\w.@+=-]", re.ASCII)
LONGEST = 240
"""Characters of one part; S3 takes 1024 bytes for the whole."""


class KeyTemplate:
    """`{prefix}/{date}/{id}/{filename}` and the like; `{date}` is the day of acceptance in UTC."""

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
        self._template = template

    def key(self, job: Job, output: Output, prefix: str) -> str:
        """The same each time: a second delivery overwrites the first one's files."""
        values = {
            "prefix": "/".join(map(segment, prefix.split("/"))),
            "date": datetime.fromtimestamp(job.created_at, UTC).strftime("%Y-%m-%d"),
            "id": segment(job.id),
            "job": job.folder,
            "node": segment(output.node_id),
            "index": str(output.index),
            "filename": _filename(job, output),
        }
        filled = self._template.format_map(values)
        return "/".join(part for part in filled.split("/") if part.strip("."))


def segment(text: str) -> str:
    """One part of a key, without anything that a browser, a shell or a server could read as more than a name."""
    safe = UNSAFE.sub("_", text)[-LONGEST:]
    return safe if safe.strip(".") else ""


def _filename(job: Job, output: Output) -> str:
    """Two nodes may give their files the same name: then every file of the job carries its number."""
    names = [segment(other.filename) for other in job.outputs if other.text is None]
    name = segment(output.filename)
    return name if name and len(set(names)) == len(names) else f"{output.index}-{name}"
