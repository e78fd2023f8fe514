"""The kind and the media type of an output file follow from its name."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from worker.outputs.kinds import KINDS, kind_of, mime_of

HTTP = (Path(__file__).parents[2] / "docs" / "http.md").read_text("utf-8")


@pytest.mark.parametrize(
    ("filename", "kind", "mime"),
    [
        ("a.png", "image", "image/png"),
        ("a.WEBP", "image", "image/webp"),
        ("clip.mp4", "video", "video/mp4"),
        ("voice.flac", "audio", "audio/flac"),
        ("mesh.glb", "3d", "model/gltf-binary"),
        ("notes.txt", "document", "text/plain"),
        ("lora.safetensors", "model", "application/octet-stream"),
        ("a.latent", "latent", "application/octet-stream"),
        ("unknown.xyz123", "file", "application/octet-stream"),
    ],
)
def test_kind_and_media_type_follow_from_the_extension(filename: str, kind: str, mime: str) -> None:
    """kind_of and mime_of read the extension in any case; an unknown one is a file of bytes."""
    assert (kind_of(filename), mime_of(filename)) == (kind, mime)


def test_every_kind_is_documented() -> None:
    """docs/http.md lists each kind in the section on outputs."""
    section = HTTP.partition("\n## Outputs\n")[2].partition("\n## ")[0]
    assert set(KINDS.values()) <= set(re.findall(r"`(\w+)`", section))
