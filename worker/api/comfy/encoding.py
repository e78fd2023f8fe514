"""JSON for ComfyUI's clients, also of values that nodes of packs report and that orjson refuses."""

from __future__ import annotations

import json
from typing import Any

import orjson


def json_bytes(value: Any) -> bytes:  # noqa: ANN401 - JSON
    """Return a value as JSON. It may have integers of more than 64 bits, and more than 254 levels."""
    try:
        return orjson.dumps(value)
    except orjson.JSONEncodeError:
        return json.dumps(value, separators=(",", ":")).encode()
