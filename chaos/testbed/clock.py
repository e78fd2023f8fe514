"""A movable wall clock for a process, by libfaketime. The monotonic clock is not changed."""

from __future__ import annotations

from pathlib import Path

LIBRARY = "usr/lib*/**/faketime/libfaketimeMT.so.1"


def clock_env(folder: Path) -> dict[str, str] | None:
    """Return the environment of a process whose clock `set_clock` moves, or None if libfaketime is not installed."""
    library = next(Path("/").glob(LIBRARY), None)
    if library is None:
        return None
    set_clock(folder, 0)
    return {
        "LD_PRELOAD": str(library),
        "FAKETIME_TIMESTAMP_FILE": str(_clock_file(folder)),
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }


def set_clock(folder: Path, offset_s: int) -> None:
    """Set the clock of the process to this many seconds after the true time."""
    _clock_file(folder).write_text(f"{offset_s:+d}", "utf-8")


def _clock_file(folder: Path) -> Path:
    """Return the file from which libfaketime reads the offset."""
    return folder / "clock"
