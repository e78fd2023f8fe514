"""The families of diffusion models: the work of one evaluation of each.

The numbers were counted on the models' code with their published configurations, as 2 operations for each
multiplication with an addition.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from worker.load.features.sizes.size import Size

TERA = 1e12


class Network(Protocol):
    """The part of a diffusion model that is evaluated in each step. `launches` are its operations on the GPU."""

    @property
    def launches(self) -> int:
        """Number of operations that one evaluation starts on the GPU."""
        ...

    @property
    def control(self) -> float:
        """Work of a ControlNet in an evaluation, relative to the work of the model itself."""
        ...

    def tflop(self, size: Size, reference_pixels: float = 0.0) -> float:
        """Return the 10^12 operations of one pass over content of this size, with so many pixels of references."""
        ...


@dataclass(frozen=True, slots=True)
class Transformer:
    """A transformer over the tokens of a picture or video.

    `active` are the parameters, in billions, that work on each token. `side` is the side of a token in pixels. A model
    for videos joins `latent_frames` frames in each frame of the latent. For a model for pictures it is 0: frames are
    items of a batch. `text` is the number of text tokens. A token attends to all others, or to a `window` of tokens.
    """

    active: float
    layers: int
    width: int
    launches: int
    side: float = 16
    latent_frames: int = 0
    text: int = 0
    window: float = 0.0
    control: float = 0.25

    def tflop(self, size: Size, reference_pixels: float = 0.0) -> float:
        """Return the work of one pass: matrix products, which are linear in tokens, and attention."""
        frames, items = max(size.frames, 1.0), size.batch
        if self.latent_frames:
            frames = (frames - 1.0) // self.latent_frames + 1.0
        else:
            frames, items = 1.0, items * frames
        tokens = (size.area * frames + reference_pixels) / self.side**2 + self.text
        linear = 2e9 * self.active * tokens
        attention = 4.0 * tokens * (min(self.window, tokens) or tokens) * self.width * self.layers
        return items * (linear + attention) / TERA


@dataclass(frozen=True, slots=True)
class Unet:
    """A convolutional network, whose work is a polynomial of the number of pixels relative to `pixels`."""

    linear: float
    quadratic: float
    pixels: float
    launches: int
    control: float = 0.45

    def tflop(self, size: Size, reference_pixels: float = 0.0) -> float:
        """Return the work of one pass. Frames are items of a batch."""
        scale = (size.area + reference_pixels) / self.pixels
        return size.batch * max(size.frames, 1.0) * (self.linear * scale + self.quadratic * scale * scale)


@dataclass(frozen=True, slots=True)
class Family:
    """A family of models.

    A model with `is_distilled` needs only one pass in each step, which counts if the prompt does not show its guidance.
    """

    name: str
    network: Network
    is_distilled: bool = False


SD1 = Family("sd1", Unet(0.677, 0.126, 512 * 512, 719))
SDXL = Family("sdxl", Unet(5.98, 0.784, 1024 * 1024, 1822))
UNKNOWN = Family("unknown", Transformer(4.0, 30, 3072, 1800, text=256))
"""A model that no name identifies and whose size is not known."""

_FLUX = Transformer(6.46, 57, 3072, 2752, text=512)

_ALL = (
    SD1,
    SDXL,
    Family("sdxl-refiner", Unet(6.1, 1.19, 1024 * 1024, 1309)),
    Family("ssd-1b", Unet(3.71, 0.5, 1024 * 1024, 1014)),
    Family("svd", Unet(2.63, 0.62, 1024 * 576, 2050)),
    Family("cascade", Transformer(3.0, 16, 2048, 1500, side=42, text=77)),
    Family("flux", _FLUX, is_distilled=True),
    Family("chroma", _FLUX),
    Family("flux2", Transformer(27.5, 56, 6144, 2186, text=512), is_distilled=True),
    Family("flux2-klein", Transformer(6.99, 32, 4096, 1428, text=512), is_distilled=True),
    Family("flux2-klein-4b", Transformer(3.07, 25, 3072, 1082, text=512), is_distilled=True),
    Family("qwen-image", Transformer(6.8, 60, 3072, 4765, text=100)),
    Family("z-image", Transformer(5.66, 32, 3840, 1990, text=100), is_distilled=True),
    Family("lumina2", Transformer(2.18, 28, 2304, 1821, text=256)),
    Family("sd3", Transformer(0.68, 24, 1536, 955, text=333)),
    Family("sd3.5-medium", Transformer(0.79, 35, 1536, 2035, text=333)),
    Family("sd3.5-large", Transformer(2.69, 38, 2432, 2717, text=333)),
    Family("hidream", Transformer(7.7, 48, 2560, 4000, text=256)),
    Family("omnigen2", Transformer(3.2, 34, 2520, 2699, text=200)),
    Family("auraflow", Transformer(4.09, 36, 3072, 1116, text=256)),
    Family("pixart", Transformer(0.52, 28, 1152, 900, text=0)),
    Family("hunyuan-dit", Transformer(1.3, 40, 1408, 1500, text=0)),
    Family("hunyuan-image", Transformer(9.27, 60, 3584, 2923, side=32, text=256)),
    Family("cosmos-2b", Transformer(1.65, 28, 2048, 1720, latent_frames=4)),
    Family("cosmos-14b", Transformer(13.2, 36, 5120, 2192, latent_frames=4)),
    Family("cosmos", Transformer(6.5, 28, 4096, 1720, latent_frames=8)),
    Family("wan-14b", Transformer(12.0, 40, 5120, 2480, latent_frames=4)),
    Family("wan-5b", Transformer(4.35, 30, 3072, 1880, side=32, latent_frames=4)),
    Family("wan-1.3b", Transformer(1.25, 30, 1536, 1880, latent_frames=4)),
    Family("wan-vace-14b", Transformer(14.6, 48, 5120, 2990, latent_frames=4)),
    Family("wan-vace-1.3b", Transformer(1.88, 45, 1536, 2830, latent_frames=4)),
    Family("hunyuan-video", Transformer(6.8, 60, 3072, 2944, latent_frames=4, text=256), is_distilled=True),
    Family("hunyuan-video-1.5", Transformer(2.72, 54, 2048, 4243, latent_frames=4, text=256)),
    Family("kandinsky5", Transformer(1.44, 32, 1792, 1800, latent_frames=4)),
    Family("kandinsky5-pro", Transformer(14.1, 60, 4096, 3400, latent_frames=4)),
    Family("ltx", Transformer(1.65, 28, 2048, 1823, side=32, latent_frames=8)),
    Family("ltx-13b", Transformer(11.3, 48, 4096, 3083, side=32, latent_frames=8)),
    Family("ltx2", Transformer(13.5, 48, 4096, 6000, side=32, latent_frames=8)),
    Family("mochi", Transformer(5.4, 48, 3072, 6931, latent_frames=6, text=256)),
    Family("cogvideo", Transformer(4.5, 42, 3072, 2500, latent_frames=4, text=226)),
    # A video is cut into windows of about 15x27 tokens and 6 latent frames.
    Family("seedvr2-3b", Transformer(2.54, 32, 2560, 2000, latent_frames=4, text=58, window=2488), is_distilled=True),
    Family("seedvr2-7b", Transformer(4.08, 36, 3072, 2200, latent_frames=4, text=58, window=2488), is_distilled=True),
    # Each frame is a second of audio, of 11 and 21 tokens.
    Family("ace-step", Transformer(2.6, 24, 2560, 1500, side=39, latent_frames=1, text=256)),
    Family("stable-audio", Transformer(1.0, 24, 1536, 1200, side=27.6, latent_frames=1)),
)
FAMILIES = {family.name: family for family in (*_ALL, UNKNOWN)}
"""The families by name."""
