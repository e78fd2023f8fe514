"""The families of diffusion models: how many floating-point operations one evaluation of the model takes.

The numbers come from the published configurations of the models.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from worker.load.features.content_size import Size

TERA = 1e12


class Network(Protocol):
    """The part of a diffusion model that is evaluated in each step."""

    def tflop(self, size: Size, reference_pixels: float = 0.0) -> float:
        """Return the work of one evaluation on content of this size, with reference pictures of so many pixels."""
        ...


@dataclass(frozen=True, slots=True)
class Transformer:
    """A transformer over the tokens of a picture or video.

    `active` are the parameters, in billions, that work on each token. `side` is the side of a token in pixels, and
    `latent_frames` the number of frames that one frame of the latent represents. `text` is the number of text tokens.
    """

    active: float
    layers: int
    width: int
    side: int = 16
    latent_frames: int = 1
    text: int = 0

    def tokens(self, size: Size) -> float:
        """Return the number of picture tokens of one item of a batch."""
        frames = (max(size.frames, 1.0) - 1.0) // self.latent_frames + 1.0
        return size.width * size.height / self.side**2 * frames

    def tflop(self, size: Size, reference_pixels: float = 0.0) -> float:
        """Return the work of one evaluation: matrix products, which are linear in tokens, and attention."""
        tokens = self.tokens(size) + self.text + reference_pixels / self.side**2
        linear = 2.0 * self.active * 1e9 * tokens
        attention = 4.0 * tokens * tokens * self.width * self.layers
        return size.batch * (linear + attention) / TERA


@dataclass(frozen=True, slots=True)
class Unet:
    """A convolutional network, whose work is a polynomial of the number of pixels relative to `pixels`."""

    linear: float
    quadratic: float
    pixels: float

    def tflop(self, size: Size, reference_pixels: float = 0.0) -> float:
        """Return the work of one evaluation. Each frame is computed on its own."""
        scale = (size.width * size.height + reference_pixels) / self.pixels
        return size.batch * max(size.frames, 1.0) * (self.linear * scale + self.quadratic * scale * scale)


@dataclass(frozen=True, slots=True)
class Family:
    """A family of models. `evaluation_s` are the seconds that the launches of one evaluation take on any GPU."""

    name: str
    network: Network
    evaluation_s: float = 0.02
    is_guidance_distilled: bool = False
    """Whether the model needs only one pass in each step, if the prompt does not show how many it uses."""


SD1 = Family("sd1", Unet(0.57, 0.11, 512 * 512))
SDXL = Family("sdxl", Unet(5.2, 0.75, 1024 * 1024))

_FLUX = Transformer(6.45, 57, 3072, text=512)
_WAN_14B = Transformer(12.0, 40, 5120, latent_frames=4)
_QWEN = Transformer(6.8, 60, 3072, text=60)

_ALL = (
    SD1,
    SDXL,
    Family("flux", _FLUX, is_guidance_distilled=True),
    Family("flux2", Transformer(27.4, 56, 6144, text=512), is_guidance_distilled=True),
    Family("flux2-klein", Transformer(8.0, 32, 4096, text=512), is_guidance_distilled=True),
    Family("flux2-klein-4b", Transformer(3.6, 25, 3072, text=512), is_guidance_distilled=True),
    Family("chroma", Transformer(6.45, 57, 3072, text=512)),
    Family("qwen-image", _QWEN),
    Family("z-image", Transformer(5.8, 34, 3840, text=100), is_guidance_distilled=True),
    Family("hidream", Transformer(9.0, 48, 2560, text=256)),
    Family("sd3.5-large", Transformer(4.0, 38, 2432, text=333)),
    Family("sd3", Transformer(0.68, 24, 1536, text=333)),
    Family("lumina2", Transformer(2.5, 26, 2304, text=256)),
    Family("auraflow", Transformer(4.5, 36, 3072, text=256)),
    Family("omnigen2", Transformer(3.9, 32, 2520, text=256)),
    Family("wan-14b", _WAN_14B),
    Family("wan-5b", Transformer(4.34, 30, 3072, side=32, latent_frames=4)),
    Family("wan-1.3b", Transformer(1.25, 30, 1536, latent_frames=4)),
    Family("hunyuan-image", Transformer(8.5, 60, 3584, side=32, text=256)),
    Family("hunyuan-video", Transformer(6.8, 60, 3072, latent_frames=4, text=256), is_guidance_distilled=True),
    Family("hunyuan-video-1.5", Transformer(4.2, 54, 2048, latent_frames=4, text=256)),
    Family("ltx", Transformer(1.6, 28, 2048, side=32, latent_frames=8)),
    Family("ltx-13b", Transformer(11.0, 48, 4096, side=32, latent_frames=8)),
    Family("ltx2", Transformer(13.0, 48, 4096, side=32, latent_frames=8)),
    Family("mochi", Transformer(8.0, 48, 3072, latent_frames=6, text=256)),
    Family("cosmos", Transformer(6.5, 28, 4096, latent_frames=4)),
    Family("seedvr2-3b", Transformer(1.6, 32, 2560, latent_frames=4, text=58)),
    Family("seedvr2-7b", Transformer(3.5, 36, 3072, latent_frames=4, text=58)),
)
FAMILIES = {family.name: family for family in _ALL}
"""The families by name."""

UNKNOWN = Family("unknown", SDXL.network)
"""The family of a model that no name identifies and whose size is not known."""
