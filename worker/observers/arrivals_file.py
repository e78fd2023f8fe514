"""The file `arrivals.csv` in the state folder: one line for each job that ran. All functions block."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

FILE = "arrivals.csv"
"""Name of the file in the state folder. The one before it has the suffix `.1`."""
MOST_BYTES = 16 * 1024 * 1024
"""Size from which a new file is started: about 150,000 jobs. The one before it is kept, and older ones are deleted."""


@dataclass(frozen=True, slots=True)
class ArrivalRow:
    """A job that ran.

    Attributes:
        at: Arrival, in epoch seconds.
        units: Work by the closed form. One unit is a second on an RTX 4090.
        seconds: The measured seconds, as they would be on an RTX 4090 with the models in memory.
        kind: Name of jobs that share their models: of a template that is shipped, or a hash.
        predicted_s: Seconds that were predicted just before the run, 0 if none were.
        measured_s: Seconds of the run on this machine, with the loading of models.
        load_s: Part of them that went into the loading of models.
        gpu: Class of this machine's GPU.
        state: State in which the job ended: `completed`, `failed` or `cancelled`, or `delivery_pending`.
    """

    at: float
    units: float
    seconds: float
    kind: str
    predicted_s: float
    measured_s: float
    load_s: float
    gpu: str
    state: str

    def line(self) -> str:
        """Return the line of the file, with its end."""
        at = datetime.fromtimestamp(self.at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        work = (f"{self.units:.4g}", f"{self.seconds:.4g}", self.kind)
        measured = (f"{self.predicted_s:.4g}", f"{self.measured_s:.4g}", f"{self.load_s:.4g}")
        return _line((at, *work, *measured, self.gpu, self.state))


def _line(cells: Iterable[str]) -> str:
    """Return a line of CSV. No cell has a comma or a quote."""
    return ",".join(cells) + "\n"


HEADER = _line(ArrivalRow.__dataclass_fields__)


def append(path: Path, rows: Sequence[ArrivalRow], most_bytes: int = MOST_BYTES) -> None:
    """Append rows to the file, and start a new file first if it is too large or of another release.

    A last line that was never finished, because the machine failed, gets an end. Raises OSError if not all rows could
    be written. Then none of them is in the file.
    """
    if not _is_usable(path, most_bytes):
        path.replace(path.with_name(f"{path.name}.1"))
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
    try:
        size = os.fstat(file).st_size
        start = HEADER if size == 0 else "" if os.pread(file, 1, size - 1) == b"\n" else "\n"
        try:
            _write_all(file, (start + "".join(row.line() for row in rows)).encode())
        except OSError:
            with suppress(OSError):
                os.ftruncate(file, size)
            raise
    finally:
        os.close(file)


def read_rows(state: Path) -> Iterator[dict[str, str] | None]:
    """Yield the rows of a state folder as texts by column, the oldest first, and None for each unreadable line.

    A line is unreadable if the machine failed while it was written. Raises OSError when a file cannot be read.
    """
    columns = list(ArrivalRow.__dataclass_fields__)
    for path in (state / f"{FILE}.1", state / FILE):
        if not path.is_file():
            continue
        with path.open(encoding="utf-8", errors="replace") as file:
            for line in file:
                cells = line.rstrip("\n").split(",")
                if cells != columns:
                    yield dict(zip(columns, cells, strict=True)) if len(cells) == len(columns) else None


def _is_usable(path: Path, most_bytes: int) -> bool:
    """Return whether rows can be appended to the file, which may be missing or empty."""
    try:
        with path.open("rb") as file:
            return os.fstat(file.fileno()).st_size < most_bytes and file.readline(1000) in (b"", HEADER.encode())
    except FileNotFoundError:
        return True


def _write_all(file: int, data: bytes) -> None:
    """Write all bytes. Raises OSError."""
    while data:
        data = data[os.write(file, data) :]
