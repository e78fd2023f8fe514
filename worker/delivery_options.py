"""Where a client wants its results and in what form, as facts of a request; no secret shows in a repr."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from pydantic import SecretStr

NO_SECRET = SecretStr("")
SHORTEST_KEY = 16


def signing_key(secret: str) -> bytes:
    """The key in a Standard Webhooks secret, `whsec_` and base64. Raises ValueError, which does not repeat it."""
    text = secret.removeprefix("whsec_")
    try:
        # Strictly: else a secret that is no base64 becomes a shorter key, or none.
        key = base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except ValueError:
        key = b""
    if len(key) < SHORTEST_KEY:
        raise ValueError(f"has to be `whsec_` and base64 of {SHORTEST_KEY} bytes or more")
    return key


class ImageType(StrEnum):
    PNG = "png"
    JPEG = "jpeg"
    WEBP = "webp"


@dataclass(frozen=True, slots=True)
class ImageFormat:
    """How pictures are wanted. `type` None: each as it is; `quality` is 1 to 100, for JPEG and WebP."""

    type: ImageType | None = None
    quality: int | None = None
    metadata: bool = True
    """Whether the workflow, the prompt and EXIF stay inside the picture."""


class DeliveryTarget:
    """A client's own place for outputs. Each kind of storage has a frozen subclass with no secret in its repr."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Webhook:
    """Whom to tell of the job's end. An empty secret: the operator's."""

    url: str = field(repr=False)
    secret: SecretStr = field(default=NO_SECRET, repr=False)
    extra: Mapping[str, Any] = field(default_factory=dict, repr=False)
    """What the client wants to get back with it."""
    timeout_s: float | None = None
    stock: bool = False
    """Also signed as Vast's stock template does it, whose secrets are any text."""
