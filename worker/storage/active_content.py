"""MIME types of files that a browser would execute when it opens them."""

from __future__ import annotations

import re

ACTIVE = re.compile(r"html|xml|script|flash", re.IGNORECASE)
"""HTML, SVG and other XML, and scripts. An SVG that a page embeds as an image executes nothing and is still shown."""


def disposition(mime: str) -> str:
    """Return the `Content-Disposition` of a file: `inline` to show it in a browser, `attachment` to save it."""
    return "attachment" if ACTIVE.search(mime) else "inline"
