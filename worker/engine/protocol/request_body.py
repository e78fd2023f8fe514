"""The bodies of requests to ComfyUI."""

from __future__ import annotations

from io import BytesIO

import orjson
from pydantic import SecretStr

LARGE = 1024 * 1024
"""Size in bytes from which a request body is sent in pieces."""


def revealed(value: object) -> object:
    """Return the text of a secret, and any other value as it is."""
    return value.get_secret_value() if isinstance(value, SecretStr) else value


def request_body(value: object) -> bytes | BytesIO:
    """Return a value as JSON. A large body is a file, which aiohttp sends in pieces without blocking the loop."""
    data = orjson.dumps(value)
    return BytesIO(data) if len(data) > LARGE else data
