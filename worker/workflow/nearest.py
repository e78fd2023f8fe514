"""Finds the known name that a misspelt name probably means."""

from __future__ import annotations

import re
from collections.abc import Iterable
from difflib import get_close_matches

LONGEST = 200  # difflib takes quadratic time, and clients choose the names
SIMILAR = 0.8
"""Minimum similarity ratio of difflib for a misspelt name."""
SUFFIX = re.compile(r"\.[A-Za-z]\w{0,15}$")


def nearest(name: str, candidates: Iterable[str]) -> str | None:
    """Return the candidate that differs from `name` only in folder, case or suffix, else the most similar one.

    Return None if no candidate is similar. The similarity ignores folders and suffixes, because a common suffix such as
    `.safetensors` makes any two names similar.
    """
    by_name: dict[str, str] = {}
    by_last_part: dict[str, str] = {}
    by_stem: dict[str, str] = {}
    for candidate in candidates:
        folded = _folded(candidate)
        by_name.setdefault(folded, candidate)
        by_last_part.setdefault(_last_part(folded), candidate)
        by_stem.setdefault(_stem(folded), candidate)
    folded = _folded(name[-LONGEST:])  # the end of a path is its file name
    # Compares whole names, then file names, then file names without suffix.
    for key, names in ((folded, by_name), (_last_part(folded), by_last_part), (_stem(folded), by_stem)):
        if key in names:
            return names[key]
    similar_stems = get_close_matches(_stem(folded), by_stem, n=1, cutoff=SIMILAR)
    return by_stem[similar_stems[0]] if similar_stems else None


def did_you_mean(name: str, candidates: Iterable[str]) -> str | None:
    """Return "Did you mean ...?" with the nearest known name, or None if no name is similar."""
    suggestion = nearest(name, candidates)
    return None if suggestion is None else f"Did you mean {suggestion!r}?"


def _folded(name: str) -> str:
    """Return a name in lower case and with `/` as the separator, for comparisons."""
    return name.replace("\\", "/").casefold()


def _last_part(name: str) -> str:
    return name.rpartition("/")[2]


def _stem(name: str) -> str:
    """Return the file name of a path without its suffix."""
    last = _last_part(name)
    return SUFFIX.sub("", last) or last
