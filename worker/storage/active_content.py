"""Types of files that a browser runs, where it is led to one."""

from __future__ import annotations

import re

ACTIVE = re.compile(r"html|xml|script|flash", re.IGNORECASE)
"""HTML, SVG and any other XML, scripts. As an image inside a page an SVG runs nothing, and is shown in any case."""


def disposition(mime: str) -> str:
    """Return how a browser has to treat a file that is opened by itself: `inline` shows it, `attachment` saves it."""
    return "attachment" if ACTIVE.search(mime) else "inline"
