"""Values that links carry: images and masks with real pixels, and placeholders for values that need a model."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from PIL.Image import Image


@dataclass(frozen=True, slots=True)
class Trace:
    """The origin of a value: the seed, text and models that led to it. It is written on placeholder images."""

    seed: int | None = None
    steps: int | None = None
    text: str = ""
    sampler: str = ""
    model: str = ""

    def filled_from(self, other: Trace) -> Trace:
        """Return this trace with its missing fields filled from the other one."""
        return replace(
            self,
            seed=other.seed if self.seed is None else self.seed,
            steps=other.steps if self.steps is None else self.steps,
            text=self.text or other.text,
            sampler=self.sampler or other.sampler,
            model=self.model or other.model,
        )


@dataclass(frozen=True, slots=True)
class Images:
    """IMAGE: a batch of images of one size, mode RGB or RGBA, 8 bits a channel. Frames are never changed in place."""

    frames: tuple[Image, ...]
    trace: Trace = field(default=Trace())

    def __str__(self) -> str:
        """Return the text that PreviewAny shows instead of a tensor."""
        return f"IMAGE of {len(self.frames)} x {self.size[0]}x{self.size[1]} (embedded engine, no tensor)"

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels, or (0, 0) without frames."""
        return self.frames[0].size if self.frames else (0, 0)


@dataclass(frozen=True, slots=True)
class Masks:
    """MASK: a batch of grey images, mode L. 255 means masked."""

    frames: tuple[Image, ...]
    trace: Trace = field(default=Trace())

    def __str__(self) -> str:
        """Return the text that PreviewAny shows instead of a tensor."""
        return f"MASK of {len(self.frames)} x {self.size[0]}x{self.size[1]} (embedded engine, no tensor)"

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels, or (0, 0) without frames."""
        return self.frames[0].size if self.frames else (0, 0)


@dataclass(frozen=True, slots=True)
class Latent:
    """LATENT: its size in pixels of the decoded image, without data.

    `length` is the number of frames of a video, and `seconds` the duration of audio.
    """

    width: int
    height: int
    batch: int = 1
    length: int = 1
    channels: int = 4
    seconds: float = 0.0
    trace: Trace = field(default=Trace())


@dataclass(frozen=True, slots=True)
class Audio:
    """AUDIO: a tone that depends on `seed`, or silence without a seed."""

    seconds: float
    sample_rate: int = 44_100
    channels: int = 2
    seed: int | None = None
    trace: Trace = field(default=Trace())


@dataclass(frozen=True, slots=True)
class Video:
    """VIDEO: images, a frame rate, and optional audio."""

    images: Images
    fps: float
    audio: Audio | None = None

    @property
    def trace(self) -> Trace:
        return self.images.trace


@dataclass(frozen=True, slots=True)
class Sigmas:
    """SIGMAS: the number of sampler steps, without the values."""

    steps: int
    trace: Trace = field(default=Trace())


@dataclass(frozen=True, slots=True)
class File3D:
    """FILE_3D and its subtypes: a 3D file and its format, such as `glb`."""

    data: bytes
    format: str
    trace: Trace = field(default=Trace())


@dataclass(frozen=True, slots=True)
class OpaqueValue:
    """A value of any other type (MODEL, CONDITIONING, MESH, ...): only its type and origin."""

    type: str
    trace: Trace = field(default=Trace())


Scalar: TypeAlias = "bool | int | float | str | None"
Value: TypeAlias = (
    "Images | Masks | Latent | Audio | Video | Sigmas | File3D | OpaqueValue | Scalar | list[Value] | dict[str, Value]"
)
"""Scalars, lists and objects come from the prompt, or from nodes such as PrimitiveInt."""


def trace_of(value: Value) -> Trace:
    """Return the trace of a value. Scalars, lists and objects have an empty one."""
    match value:
        case Images() | Masks() | Latent() | Audio() | Video() | Sigmas() | File3D() | OpaqueValue():
            return value.trace
        case _:
            return Trace()
