"""A wall clock that can be moved under a process, by libfaketime; the monotonic one goes on as it was."""

from __future__ import annotations

from pathlib import Path

LIBRARY = "usr/lib*/**/faketime/libfaketimeMT.so.1"


def clock_env(folder: Path) -> dict[str, str] | None:
    """For a process whose clock `set_clock` moves; None where libfaketime is not installed."""
    library = next(Path("/").glob(LIBRARY), None)
    if library is None:
        return None
    set_clock(folder, 0)
    return {
        "LD_PRELOAD": str(library),
        "FAKETIME_TIMESTAMP_FILE": str(_file(folder)),
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }


def set_clock(folder: Path, offset_s: int) -> None:
    """Seconds from the true time, from now on."""
    _file(folder).write_text(f"{offset_s:+d}", "utf-8")


def _file(folder: Path) -> Path:
    return folder / "clock"
