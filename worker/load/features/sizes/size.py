"""The size of pictures, videos and audio."""

from __future__ import annotations

from dataclasses import dataclass, replace

AUDIO_SECOND = 128 * 128  # one second of audio counts as this number of pixels
LARGEST = 1e9  # keeps the work on content finite, however many nodes multiply its size


@dataclass(frozen=True, slots=True)
class Size:
    """The size of content: width and height of a frame in pixels, number of frames, and items in the batch."""

    width: float
    height: float
    frames: float = 1.0
    batch: float = 1.0

    @property
    def area(self) -> float:
        """Number of pixels in one frame."""
        return self.width * self.height

    @property
    def pixels(self) -> float:
        """Number of pixels in all frames of all items."""
        return self.width * self.height * self.frames * self.batch

    def times(self, factor: float) -> Size:
        """Return the size with both sides multiplied by a factor."""
        return replace(self, width=self.width * factor, height=self.height * factor)

    @property
    def limited(self) -> Size:
        """The size with no side and no number above `LARGEST`."""
        return Size(*(min(number, LARGEST) for number in (self.width, self.height, self.frames, self.batch)))


# Assumed sizes of uploaded files that are not here yet.
UPLOADED_IMAGE = Size(1024, 1024)
UPLOADED_VIDEO = Size(832, 480, 81)
