"""The work of the autoencoders (VAEs) that turn pictures and videos into latents and back."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from worker.load.features.sizes.size import Size

CONVOLUTION = 1.7
"""Time that an operation of a convolution takes, relative to one of a matrix product.

An A800 decodes 81 frames of 720p with Wan's VAE at 68 TFLOPS and runs transformers at 160. With other VAEs, it is less.
"""
ATTENTION = 0.5
"""10^12 operations of the attention in the middle of a VAE for one frame of a megapixel. They grow with its square."""


@dataclass(frozen=True, slots=True)
class Autoencoder:
    """The 10^12 operations of a VAE for each megapixel of a frame, to decode and to encode."""

    name: str
    decode: float
    encode: float
    frame: float = 0.0
    """Operations to decode a megapixel of a single picture, if they differ."""
    tilings: float = 1.0
    """Times that ComfyUI computes content in tiles. It averages three results for a picture, cut in different ways."""

    def decode_tflop(self, size: Size, tiling: float = 1.0) -> float:
        """Return the work of decoding. With tiles, which overlap, each pixel is decoded `tiling` times."""
        per_megapixel = self.frame if self.frame and size.frames <= 1 else self.decode
        return self._tflop(size, per_megapixel, tiling)

    def encode_tflop(self, size: Size, tiling: float = 1.0) -> float:
        """Return the work of encoding. With tiles, which overlap, each pixel is encoded `tiling` times."""
        per_megapixel = self.encode * (self.frame / self.decode if self.frame and size.frames <= 1 else 1.0)
        return self._tflop(size, per_megapixel, tiling)

    def _tflop(self, size: Size, per_megapixel: float, tiling: float) -> float:
        """Return the work on content of this size."""
        megapixels = size.pixels / 1e6
        if tiling > 1.0:
            return CONVOLUTION * per_megapixel * megapixels * tiling * self.tilings
        return CONVOLUTION * per_megapixel * megapixels + ATTENTION * megapixels * size.area / 1e6


IMAGE = Autoencoder("image", 9.5, 4.2, tilings=3.0)
_NAMED: tuple[tuple[str, Autoencoder], ...] = (
    (r"^tae|taesd|taef|lighttae", Autoencoder("tiny", 0.3, 0.3, tilings=3.0)),
    (r"wan.?2[._]?2.*vae|vae.*wan.?2[._]?2|wan.*ti2v", Autoencoder("wan2.2", 18.3, 3.5)),
    (r"wan|qwen", Autoencoder("wan2.1", 8.4, 5.0, frame=4.2)),
    (r"hunyuan.?video.?_?1[._]?5|hunyuanvideo15", Autoencoder("hunyuan-video-1.5", 25.2, 14.2)),
    (r"hunyuan.?image", Autoencoder("hunyuan-image", 8.1, 4.0)),
    (r"hunyuan", Autoencoder("hunyuan-video", 17.7, 9.7)),
    (r"ltx.?2", Autoencoder("ltx2", 6.0, 2.9)),
    (r"ltx", Autoencoder("ltx", 1.7, 0.8)),
    (r"mochi", Autoencoder("mochi", 16.0, 4.2)),
    (r"cosmos", Autoencoder("cosmos", 0.56, 0.33)),
    (r"seedvr|ema_vae", Autoencoder("seedvr2", 23.7, 9.1, frame=29.0)),
    (r"svd|stable.?video", Autoencoder("svd", 14.0, 4.2)),
    (r"ace.?step|audio", Autoencoder("audio", 1.0, 1.0)),
)
_PATTERNS = tuple((re.compile(pattern), autoencoder) for pattern, autoencoder in _NAMED)
SEEDVR2 = {autoencoder.name: autoencoder for _, autoencoder in _NAMED}["seedvr2"]


@lru_cache(maxsize=2048)
def autoencoder_named(file: str) -> Autoencoder:
    """Return the autoencoder in a file with this name, which may be a checkpoint. Unknown ones count as `IMAGE`."""
    name = file.casefold().replace("\\", "/").rpartition("/")[2]
    return next((autoencoder for pattern, autoencoder in _PATTERNS if pattern.search(name)), IMAGE)
