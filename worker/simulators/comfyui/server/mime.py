"""Media types of files by their names, independent of the tables of this machine."""

from __future__ import annotations

from mimetypes import MimeTypes
from pathlib import Path

OTHER = "application/octet-stream"

_TYPES = MimeTypes()
_EXTRA_TYPES = {
    ".flac": "audio/flac",
    ".glb": "model/gltf-binary",
    ".opus": "audio/ogg",
    ".webm": "video/webm",
    ".webp": "image/webp",
}


def mime_of(path: Path) -> str:
    """Return the media type for a file's suffix, or `application/octet-stream` when the suffix is unknown."""
    return _EXTRA_TYPES.get(path.suffix.lower()) or _TYPES.guess_type(path.name)[0] or OTHER
