"""The known name that was probably meant."""

from __future__ import annotations

import re
from collections.abc import Iterable
from difflib import get_close_matches

LONGEST = 200  # difflib takes quadratic time, and names come from strangers
SIMILAR = 0.8
"""Below this ratio of difflib two names are different things, not one name misspelt."""
SUFFIX = re.compile(r"\.[A-Za-z]\w{0,15}$")


def nearest(name: str, known: Iterable[str]) -> str | None:
    """Return the known name that equals `name` but for folder, case or suffix, else the most similar one, else None.

    Folders and suffixes don't count for the similarity either: `.safetensors` alone makes any two model files look
    alike.
    """
    by_name: dict[str, str] = {}
    by_last_part: dict[str, str] = {}
    by_stem: dict[str, str] = {}
    for candidate in known:
        folded = _folded(candidate)
        by_name.setdefault(folded, candidate)
        by_last_part.setdefault(_last_part(folded), candidate)
        by_stem.setdefault(_stem(folded), candidate)
    folded = _folded(name[-LONGEST:])
    for wanted, names in ((folded, by_name), (_last_part(folded), by_last_part), (_stem(folded), by_stem)):
        if wanted in names:
            return names[wanted]
    return next((by_stem[close] for close in get_close_matches(_stem(folded), by_stem, n=1, cutoff=SIMILAR)), None)


def did_you_mean(name: str, known: Iterable[str]) -> str | None:
    """Return the nearest known name as a question, or None if nothing is near."""
    meant = nearest(name, known)
    return None if meant is None else f"Did you mean {meant!r}?"


def _folded(name: str) -> str:
    return name.replace("\\", "/").casefold()


def _last_part(name: str) -> str:
    return name.rpartition("/")[2]


def _stem(name: str) -> str:
    last = _last_part(name)
    return SUFFIX.sub("", last) or last
