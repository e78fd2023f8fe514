"""MIME types of files that a browser would execute when it opens them."""

from __future__ import annotations

import re

ACTIVE = re.compile(r"html|xml|script|flash", re.IGNORECASE)
"""Matches HTML, SVG and other XML, scripts and Flash. A page can still show such an SVG as an image, which is safe."""


def disposition(mime: str) -> str:
    """Return the `Content-Disposition` of a file with this MIME type.

    A browser saves an `attachment`, and opens an `inline` file. Files that it would execute are attachments.
    """
    return "attachment" if ACTIVE.search(mime) else "inline"
