"""Binary WebSocket frames: a big-endian event number, followed by the data of that event."""

from __future__ import annotations

import struct
from enum import IntEnum

import orjson


class PreviewFormat(IntEnum):
    """Image formats of previews, by their number in a preview frame."""

    JPEG = 1
    PNG = 2

    @property
    def mime(self) -> str:
        """The media type, such as `image/png`."""
        return f"image/{self.name.lower()}"


_PREVIEW = 1
_TEXT = 3
_PREVIEW_WITH_METADATA = 4


def preview(kind: PreviewFormat, image: bytes) -> bytes:
    """Return a frame of event 1, for clients without the feature flag `supports_preview_metadata`."""
    return struct.pack(">II", _PREVIEW, kind) + image


def preview_with_metadata(kind: PreviewFormat, image: bytes, node_id: str, prompt_id: str) -> bytes:
    """Return a frame of event 4, which names the node and the prompt of the preview."""
    metadata = orjson.dumps(
        {
            "node_id": node_id,
            "prompt_id": prompt_id,
            "display_node_id": node_id,
            "parent_node_id": None,
            "real_node_id": node_id,
            "image_type": kind.mime,
        }
    )
    return struct.pack(">II", _PREVIEW_WITH_METADATA, len(metadata)) + metadata + image


def text(node_id: str, message: str) -> bytes:
    """Return a frame of event 3, a line of text that a node shows while it runs."""
    name = node_id.encode()
    return struct.pack(">II", _TEXT, len(name)) + name + message.encode()
