"""The name that was probably meant."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

LONGEST = 200  # difflib takes quadratic time, and names come from strangers


def nearest(name: str, known: Iterable[str]) -> str | None:
    """Return the most similar known name, ignoring case and, for files, the folders before the last part."""
    folded: dict[str, str] = {}
    for candidate in known:
        folded.setdefault(candidate.casefold(), candidate)
        folded.setdefault(_last_part(candidate).casefold(), candidate)
    for wanted in (name[:LONGEST].casefold(), _last_part(name)[:LONGEST].casefold()):
        for close in get_close_matches(wanted, folded, n=1):
            return folded[close]
    return None


def did_you_mean(name: str, known: Iterable[str]) -> str | None:
    """Return the nearest known name as a question, or None if nothing is near."""
    meant = nearest(name, known)
    return None if meant is None else f"Did you mean {meant!r}?"


def _last_part(name: str) -> str:
    return name.replace("\\", "/").rpartition("/")[2]
