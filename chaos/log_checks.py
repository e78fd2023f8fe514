"""Checks after a run: unhandled exceptions in logs, secrets in logs, and files that should not exist."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

from chaos.finding import RunFinding, expect_none
from chaos.testbed.worker_testbeds import ExternalEngineTestbed, ManagedEngineTestbed

UNHANDLED = re.compile("Traceback|never retrieved|was never awaited|Unclosed|Exception ignored|CRITICAL|Warning:")
RECORD_START = re.compile(r"\d{4}-\d\d-\d\d ")
ALLOWED = re.compile(
    r"RequestPayloadError|UVProcessTransport is open in __dealloc__"
    r"|ERROR +(asyncio Fatal|worker.supervision task) .*\nMemoryError$",
    re.DOTALL,
)
"""Records of libraries that are not defects of the worker.

The HTTP library logs a body that does not match its Content-Encoding, after the worker's response. The event loop logs
a process that could not be started without a file descriptor, after it has raised the error, and a connection that it
closes because it has no memory to read from it. Supervision logs a task that had no memory.
"""


def unhandled_exceptions(logs: Sequence[Path]) -> list[RunFinding]:
    """Return a finding about log records that only unhandled exceptions write."""
    records = [f"{path.name}: {record[-300:]}" for path in logs for record in _records(path) if _is_unhandled(record)]
    return [expect_none("unhandled exceptions in a log", len(records), records[:3])]


def _is_unhandled(record: str) -> bool:
    """Return whether a log record is about an unhandled exception of the worker."""
    return bool(UNHANDLED.search(record)) and not ALLOWED.search(record.rstrip())


def _records(path: Path) -> Iterator[str]:
    """Yield each log record with all its lines."""
    record = ""
    with path.open(encoding="utf-8", errors="replace") as lines:
        for line in lines:
            if RECORD_START.match(line):
                yield record
                record = ""
            record += line
    yield record


def leaked_secrets(logs: Sequence[Path], planted: Collection[str]) -> RunFinding:
    """Return a finding about planted secrets that a log contains."""
    log_bytes = b"".join(path.read_bytes() for path in logs)
    leaked = [secret for secret in planted if secret.encode() in log_bytes]
    return expect_none(f"secrets in a log, of {len(planted):,} planted", len(leaked), leaked[:3])


def leftover_job_folders(testbed: ExternalEngineTestbed | ManagedEngineTestbed) -> list[str]:
    """Return the folders of jobs that still exist after their results have expired."""
    parents = (testbed.worker.state / "outputs", testbed.worker.state / "inputs", testbed.input)
    return [
        f"{parent.name}/{path.name}" for parent in parents if parent.exists() for path in sorted(parent.glob("job-*"))
    ]


def file_stamps(folder: Path, excluded: Collection[Path] = ()) -> dict[str, tuple[int, int]]:
    """Return size and modification time of every file below a folder, by relative path, without excluded folders."""
    stamps = {}
    for path, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if Path(path, name) not in excluded]
        for name in files:
            stat = Path(path, name).lstat()
            stamps[str(Path(path, name).relative_to(folder))] = (stat.st_size, stat.st_mtime_ns)
    return stamps
