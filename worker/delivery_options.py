"""How and where a client wants its results. No secret appears in a repr."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from pydantic import SecretStr

NO_SECRET = SecretStr("")
"""The client has sent no secret, so the operator's secret signs."""
SHORTEST_KEY = 16
"""Smallest length of a signing key in bytes."""


def signing_key(secret: str) -> bytes:
    """Return the key in a secret of Standard Webhooks, which is `whsec_` and the key in base64.

    Raises ValueError for an invalid secret. The message continues the name of the field and does not repeat the secret.
    """
    text = secret.removeprefix("whsec_")
    try:
        # The prefix and the padding may be missing. Without validation, other characters would be dropped silently.
        key = base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except ValueError:
        key = b""
    if len(key) < SHORTEST_KEY:
        raise ValueError(f"has to be `whsec_` and base64 of {SHORTEST_KEY} bytes or more")
    return key


class ImageType(StrEnum):
    """File formats of images."""

    PNG = "png"
    JPEG = "jpeg"
    WEBP = "webp"


@dataclass(frozen=True, slots=True)
class ImageFormat:
    """Requested format of images. `type` None keeps each as it is. `quality` is 1 to 100, for JPEG and WebP."""

    type: ImageType | None = None
    quality: int | None = None
    metadata: bool = True
    """Whether the images keep workflow, prompt and EXIF."""


class DeliveryTarget:
    """A client's own storage for outputs. Each kind of storage has a frozen subclass without secrets in its repr."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Webhook:
    """The request that reports a job's end. An empty secret means that the operator's secret signs."""

    url: str = field(repr=False)
    secret: SecretStr = field(default=NO_SECRET, repr=False)
    extra: Mapping[str, Any] = field(default_factory=dict, repr=False)
    """Data of the client that is sent back to it."""
    timeout_s: float | None = None
    stock: bool = False
    """Whether it is signed as Vast's stock template does it as well. Its secrets are any text."""
