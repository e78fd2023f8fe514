"""What flows along the links: pictures for real, and stand-ins for everything that needs a model."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from PIL.Image import Image


@dataclass(frozen=True, slots=True)
class Trace:
    """What is known of how a value came about, to be written on the picture in the end."""

    seed: int | None = None
    steps: int | None = None
    text: str = ""
    sampler: str = ""
    model: str = ""

    def over(self, other: Trace) -> Trace:
        """Complete this trace with what the other one knows."""
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
    """IMAGE: a batch of pictures of one size, mode RGB or RGBA, 8 bit. Never changed in place."""

    frames: tuple[Image, ...]
    trace: Trace = field(default=Trace())

    def __str__(self) -> str:
        return f"IMAGE of {len(self.frames)} x {self.size[0]}x{self.size[1]} (embedded engine, no tensor)"

    @property
    def size(self) -> tuple[int, int]:
        return self.frames[0].size if self.frames else (0, 0)


@dataclass(frozen=True, slots=True)
class Masks:
    """MASK: a batch of grey pictures, mode L; 255 is masked."""

    frames: tuple[Image, ...]
    trace: Trace = field(default=Trace())

    def __str__(self) -> str:
        return f"MASK of {len(self.frames)} x {self.size[0]}x{self.size[1]} (embedded engine, no tensor)"

    @property
    def size(self) -> tuple[int, int]:
        return self.frames[0].size if self.frames else (0, 0)


@dataclass(frozen=True, slots=True)
class Latent:
    """LATENT: only its measures, in pixels of the picture that it stands for; `length` is of video, in frames."""

    width: int
    height: int
    batch: int = 1
    length: int = 1
    channels: int = 4
    seconds: float = 0.0
    trace: Trace = field(default=Trace())


@dataclass(frozen=True, slots=True)
class Audio:
    """AUDIO: a tone drawn from `seed`, or silence without one."""

    seconds: float
    sample_rate: int = 44_100
    channels: int = 2
    seed: int | None = None
    trace: Trace = field(default=Trace())


@dataclass(frozen=True, slots=True)
class Video:
    """VIDEO: pictures and a rate, perhaps with sound."""

    images: Images
    fps: float
    audio: Audio | None = None

    @property
    def trace(self) -> Trace:
        return self.images.trace


@dataclass(frozen=True, slots=True)
class Sigmas:
    """SIGMAS: only how many steps they make."""

    steps: int
    trace: Trace = field(default=Trace())


@dataclass(frozen=True, slots=True)
class File3D:
    """FILE_3D and its kinds: a model file and its format, `glb`."""

    data: bytes
    format: str
    trace: Trace = field(default=Trace())


@dataclass(frozen=True, slots=True)
class OpaqueValue:
    """A value of any other type (MODEL, CONDITIONING, MESH, ...): its type and where it came from."""

    type: str
    trace: Trace = field(default=Trace())


Scalar: TypeAlias = "bool | int | float | str | None"
Value: TypeAlias = (
    "Images | Masks | Latent | Audio | Video | Sigmas | File3D | OpaqueValue | Scalar | list[Value] | dict[str, Value]"
)
"""Scalars, lists and objects are what the prompt said, or what nodes like PrimitiveInt make."""


def trace_of(value: Value) -> Trace:
    """What a value knows of its making; nothing for plain ones."""
    match value:
        case Images() | Masks() | Latent() | Audio() | Video() | Sigmas() | File3D() | OpaqueValue():
            return value.trace
        case _:
            return Trace()
