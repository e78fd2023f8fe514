"""What a run may not leave: complaints in a log, secrets in a log, files where none belong."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

from chaos.finding import RunFinding, none
from chaos.testbed.stage import KeptStage, Stage

COMPLAINT = re.compile(
    "Traceback|in a way nobody expected|with an unexpected error|"
    "never retrieved|was never awaited|Unclosed|Exception ignored|CRITICAL|Warning:"
)
BEGINNING = re.compile(r"\d{4}-\d\d-\d\d ")


def complaints(logs: Sequence[Path]) -> list[RunFinding]:
    """Records that only an exception which nobody handled writes."""
    found = [f"{path.name}: {record[-300:]}" for path in logs for record in _records(path) if _complains(record)]
    return [none("unhandled exceptions in a log", len(found), found[:3])]


NOT_OURS = re.compile(
    r"RequestPayloadError|UVProcessTransport is open in __dealloc__"
    r"|ERROR +(asyncio Fatal|worker.supervision task) .*\nMemoryError$",
    re.DOTALL,
)
"""The HTTP library complains of a body that is not what its Content-Encoding says, after our answer. The event loop
does of a process that could not be started for want of a file descriptor, after it has raised the error, and of a
connection that it closes because it has no memory to read from it; supervision does of a task that had none."""


def _complains(record: str) -> bool:
    return bool(COMPLAINT.search(record)) and not NOT_OURS.search(record.rstrip())


def _records(path: Path) -> Iterator[str]:
    """Each with the lines that belong to it."""
    record = ""
    with path.open(encoding="utf-8", errors="replace") as lines:
        for line in lines:
            if BEGINNING.match(line):
                yield record
                record = ""
            record += line
    yield record


def secrets(logs: Sequence[Path], planted: Collection[str]) -> RunFinding:
    """Of thousands of planted secrets: which any log has."""
    written = b"".join(path.read_bytes() for path in logs)
    found = [secret for secret in planted if secret.encode() in written]
    return none(f"secrets in a log, of {len(planted):,} planted", len(found), found[:3])


def left_behind(scene: Stage | KeptStage) -> list[str]:
    """Folders of jobs that are forgotten."""
    places = (scene.worker.state / "outputs", scene.worker.state / "inputs", scene.input)
    return [f"{place.name}/{path.name}" for place in places if place.exists() for path in sorted(place.glob("job-*"))]


def tree(folder: Path, but: Collection[Path] = ()) -> dict[str, tuple[int, int]]:
    """Size and time of every file below, by path; without the folders in `but`."""
    found = {}
    for path, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if Path(path, name) not in but]
        for name in files:
            stat = Path(path, name).lstat()
            found[str(Path(path, name).relative_to(folder))] = (stat.st_size, stat.st_mtime_ns)
    return found
