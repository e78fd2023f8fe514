"""Descriptions of media files without the bytes that depend on an encoder's version."""

from __future__ import annotations

import io

from PIL import Image, UnidentifiedImageError

TEXT_CHUNKS = frozenset({"prompt", "workflow", "k"})
MAGIC = {
    b"\x1aE\xdf\xa3": "webm",
    b"fLaC": "flac",
    b"OggS": "ogg",
    b"ID3": "mp3",
    b"\xff\xfb": "mp3",
    b"\xff\xf3": "mp3",
}


def describe(content: bytes) -> str:
    """Describe a file without what depends on the encoder: the facts of an image, the text, or the type."""
    try:
        with Image.open(io.BytesIO(content)) as image:
            texts = sorted(key for key in image.info if key in TEXT_CHUNKS)
            facts = f"{image.format} {image.mode} {image.width}x{image.height}"
            return f"{facts}, {getattr(image, 'n_frames', 1)} frames, texts {texts}"
    except UnidentifiedImageError:
        pass
    if content[4:8] == b"ftyp":
        return "mp4"
    if len(content) > 8 and content[8:10] == b'{"':
        return "safetensors"
    kind = next((name for magic, name in MAGIC.items() if content.startswith(magic)), None)
    return kind or content.decode(errors="replace")
