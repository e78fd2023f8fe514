"""Names of images that identify one image, by a digest or a tag."""

from __future__ import annotations

import re
from dataclasses import dataclass

PLACEHOLDER = "ghcr.io/you/"
IMAGE = re.compile(
    r"(?P<repo>[a-z0-9.-]+(?::\d+)?(?:/[a-z0-9._-]+)*)(?::(?P<tag>\w[\w.-]{0,127}))?(?:@(?P<digest>sha256:[0-9a-f]{64}))?"
)
CURE = "give one with `--image REPO@sha256:...` or `--image REPO:TAG`, as `make push` prints it"


class ImageError(ValueError):
    """The name does not identify one image. The message has the remedy."""


@dataclass(frozen=True, slots=True)
class Image:
    """An image in the two fields of Vast's templates. A digest is part of `name`, and then `tag` is empty."""

    name: str
    tag: str

    def __str__(self) -> str:
        return f"{self.name}:{self.tag}" if self.tag else self.name


def read_image(text: str) -> Image:
    """Return the image of this name. Raises ImageError when the name has no digest and no fixed tag."""
    if not text:
        raise ImageError(f"no image; {CURE}")
    match = IMAGE.fullmatch(text)
    if match is None:
        raise ImageError(f"{text!r} is not the name of an image; {CURE}")
    if text.startswith(PLACEHOLDER):
        raise ImageError(f"{text!r} is a placeholder for your own image; {CURE}")
    if match["digest"]:
        return Image(f"{match['repo']}@{match['digest']}", "")
    if match["tag"] in (None, "latest"):
        raise ImageError(
            f"{text!r} has no fixed tag: it can be another image tomorrow, and workers would keep the old one; {CURE}"
        )
    return Image(match["repo"], match["tag"])
