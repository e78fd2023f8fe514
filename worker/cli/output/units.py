"""Durations and sizes as text for people."""

from __future__ import annotations


def duration(seconds: float) -> str:
    """Return a duration as text: `0.4 ms`, `12 ms`, `3.21 s`, `4 min 05 s`."""
    # Each limit is where rounding would give the next longer form, such as `10.0 ms` or `1000 ms`.
    if seconds < 0.00995:
        return f"{seconds * 1000:.1f} ms"
    if seconds < 0.9995:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 120:
        return f"{seconds:.2f} s"
    minutes, seconds_left = divmod(round(seconds), 60)
    return f"{minutes} min {seconds_left:02} s"


def about(seconds: float) -> str:
    """Return predicted seconds as text, no more precise than a prediction: `about 8 s`, `about 40 s`, `about 3 min`."""
    if seconds < 10:
        return f"about {seconds:.0f} s"
    if seconds < 90:
        return f"about {round(seconds / 5) * 5} s"
    return f"about {round(seconds / 60)} min"


def size(count: float) -> str:
    """Return a number of bytes as text in binary units: `512 B`, `34.5 KiB`, `1.2 GiB`."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if count < 1024 or unit == "GiB":
            break
        count /= 1024
    return f"{count:.0f} B" if unit == "B" else f"{count:.1f} {unit}"
