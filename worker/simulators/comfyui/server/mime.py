"""Types of files by their names, whatever tables this machine has."""

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
    """The type of a file by its ending, `application/octet-stream` for an unknown one."""
    return _EXTRA_TYPES.get(path.suffix.lower()) or _TYPES.guess_type(path.name)[0] or OTHER
