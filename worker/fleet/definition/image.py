"""The name of an image that says which one is meant."""

from __future__ import annotations

import re
from dataclasses import dataclass

PLACEHOLDER = "ghcr.io/you/"
IMAGE = re.compile(
    r"(?P<repo>[a-z0-9.-]+(?::\d+)?(?:/[a-z0-9._-]+)*)(?::(?P<tag>\w[\w.-]{0,127}))?(?:@(?P<digest>sha256:[0-9a-f]{64}))?"
)
CURE = "give one with `--image REPO@sha256:...` or `--image REPO:TAG`, as `make push` prints it"


class ImageError(ValueError):
    """It doesn't name one image; says what to write."""


@dataclass(frozen=True, slots=True)
class Image:
    """As Vast's templates have it, in two fields: with a digest the first one carries it and the second is empty."""

    name: str
    tag: str

    def __str__(self) -> str:
        return f"{self.name}:{self.tag}" if self.tag else self.name


def read_image(text: str) -> Image:
    """Raises ImageError."""
    if not text:
        raise ImageError(f"no image; {CURE}")
    found = IMAGE.fullmatch(text)
    if found is None:
        raise ImageError(f"{text!r} is no name of an image; {CURE}")
    if text.startswith(PLACEHOLDER):
        raise ImageError(f"{text!r} stands for an image of yours; {CURE}")
    if found["digest"]:
        return Image(f"{found['repo']}@{found['digest']}", "")
    if found["tag"] in (None, "latest"):
        raise ImageError(f"{text!r} is another image tomorrow, and workers would not notice; {CURE}")
    return Image(found["repo"], found["tag"])
