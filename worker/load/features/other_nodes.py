"""Computes the work of the nodes of a prompt that are no samplers."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache

from worker.load.features.content_size import UPLOADED_IMAGE, ContentSizes, Size
from worker.load.features.models.architectures import FAMILIES
from worker.load.features.models.autoencoders import SEEDVR2, Autoencoder, autoencoder_named
from worker.load.features.models.families import family_named
from worker.load.features.models.text_encoders import text_encoder_tflop
from worker.load.features.models.upscalers import INTERPOLATION, upscale_tflop
from worker.load.features.prompt_graph import PromptGraph
from worker.load.features.sizes.frame_counts import interpolates
from worker.load.features.sizes.resizing import MEGAPIXEL
from worker.load.features.used_files import Role, UsedFiles
from worker.load.node_work import NodeKind, NodeWork
from worker.workflow.numbers import number

OTHER_S, COPY_MEGAPIXEL_S, SCALE_MEGAPIXEL_S = 0.001, 0.003, 0.01
"""Seconds of a node that computes on the CPU, and for each megapixel of pictures that it outputs or scales."""
MODEL_S = 0.03
"""Seconds that the start of any model takes, for its small operations."""
PNG_MEGAPIXEL_S, FRAME_MEGAPIXEL_S = 0.15, 0.02
"""Seconds to write a megapixel of a PNG, and of a frame of a video."""
ANALYSIS_TFLOP = 5.0
"""Work of a model that looks for depth, poses or objects in a megapixel of a picture."""
TOKEN_TFLOP = 2.5
"""Work of generating a token of text. It takes as long as reading the weights, 20 ms on the reference GPU."""
LONGEST_TEXT = 4096.0
AUDIO_TOKENS = 5.0
"""Tokens that ACE-Step's text encoder generates for each second of audio."""

_SAVES = re.compile(r"^Save|^Preview|VideoCombine|SaveImage|Image.*Saver")
_SAVES_VIDEO = re.compile(r"Video|WEBM|Audio|Animated")
_ENCODES_TEXT = re.compile(r"TextEncode|Text.*Encode|T5.*Encode")
_SCALES = re.compile(r"Scale|Resize")
_ANALYSES = re.compile(r"Preprocessor|Detector|Segment|SAM\d?_|RMBG|RemBg|RmBg|DepthAnything|CLIPVisionEncode")
_WHOLE_VIDEO = re.compile(r"^Wan(?!22)")
"""Nodes that encode a video of all frames, even from a single picture, which they extend with grey frames."""
_PIXELS = ("pixels", "image", "images", "start_image", "video", "control_video", "frames", "input")
_LATENTS = ("samples", "latent", "latents", "latent_image")
_ENCODERS = ("clip", "t5", "text_encoder")


class OtherNodes:
    """The nodes of one prompt that are no samplers."""

    def __init__(
        self, graph: PromptGraph, files: UsedFiles, sizes: ContentSizes, model_bytes: Mapping[str, int]
    ) -> None:
        self._graph = graph
        self._files = files
        self._sizes = sizes
        self._model_bytes = model_bytes

    def work(self, node_id: str) -> NodeWork:
        """Return the work of a node."""
        node, sources = self._graph.prompt[node_id], self._graph.sources[node_id]
        class_type = node["class_type"]
        pixels = self._pixels_of(node_id)
        if pixels and ("upscale_model" in sources or interpolates(class_type)):
            return self._enlarging(node_id, class_type, pixels)
        if pixels and class_type.startswith("SeedVR2") and "resolution" in node["inputs"]:
            return self._seedvr2(node_id, class_type, pixels)
        if any(name in sources for name in _ENCODERS) and (_encodes_text(class_type) or "max_length" in node["inputs"]):
            return self._text_encoding(node_id, class_type)
        if "vae" in sources:
            return self._coding(node_id, class_type) or self._plain(node_id, class_type, pixels)
        return self._plain(node_id, class_type, pixels)

    def coding_tflop(self, node_id: str, size: Size) -> float:
        """Return the work of a sampler's own autoencoder, which decodes latents of this size. 0 if it has none."""
        if "vae" not in self._graph.sources[node_id]:
            return 0.0
        autoencoder = self._autoencoder(node_id)
        encoding = autoencoder.encode_tflop(size) if self._pixels_of(node_id) else 0.0
        return autoencoder.decode_tflop(size) + encoding

    def _pixels_of(self, node_id: str) -> str | None:
        """Return the node from which a node receives pictures, or None."""
        sources = self._graph.sources[node_id]
        known = next((sources[name].node_id for name in _PIXELS if name in sources), None)
        return known or next((source for name, (source, _) in sources.items() if name.startswith("image_")), None)

    def _enlarging(self, node_id: str, class_type: str, source: str) -> NodeWork:
        """Return the work of a node that enlarges pictures with a model, or adds frames to a video."""
        size, output = self._sizes.size_at(source) or UPLOADED_IMAGE, self._sizes.size_at(node_id)
        own = tuple(named.file for named in self._files.named(node_id))
        models = self._files.names(node_id, Role.UPSCALER) or own
        file = models[0] if models else ""
        megapixels = size.pixels / 1e6
        if interpolates(class_type):
            tflop = INTERPOLATION * (output or size).pixels / 1e6
        else:
            tflop = upscale_tflop(megapixels, file, self._model_bytes.get(file), class_type)
        return NodeWork(
            node_id,
            class_type,
            NodeKind.UPSCALE,
            family=file,
            shape=_area(megapixels),
            tflop=tflop,
            fixed_s=MODEL_S + COPY_MEGAPIXEL_S * (output or size).pixels / 1e6,
            models=models,
        )

    def _text_encoding(self, node_id: str, class_type: str) -> NodeWork:
        """Return the work of a node that encodes a text, and pictures beside it, or that generates text."""
        models, sources = self._files.names(node_id, Role.ENCODER), self._graph.sources[node_id]
        tflop = text_encoder_tflop(models)
        pictures = sum(name.startswith("image") for name in sources)
        tflop *= 1 + pictures  # a picture is about as many tokens as a text
        if pictures and "vae" in sources:
            side = math.sqrt(MEGAPIXEL)
            tflop += pictures * self._autoencoder(node_id).encode_tflop(Size(side, side))
            models = (*models, *self._files.names(node_id, Role.VAE))
        length = self._generated_tokens(node_id)
        return NodeWork(
            node_id,
            class_type,
            NodeKind.TEXT_ENCODE,
            family=models[0] if models else "",
            shape=f"r{pictures}",
            tflop=tflop + TOKEN_TFLOP * min(length, LONGEST_TEXT),
            fixed_s=MODEL_S,
            models=models,
        )

    def _generated_tokens(self, node_id: str) -> float:
        """Return the number of tokens that a node generates with a text encoder."""
        prompt, node = self._graph.prompt, self._graph.prompt[node_id]
        if node["inputs"].get("generate_audio_codes") is True:
            return AUDIO_TOKENS * (number(prompt, node, "duration") or 0.0)
        return number(prompt, node, "max_length") or 0.0

    def _coding(self, node_id: str, class_type: str) -> NodeWork | None:
        """Return the work of a node that decodes latents or encodes pictures, or None for another node."""
        sources = self._graph.sources[node_id]
        latents = next((sources[name].node_id for name in _LATENTS if name in sources), None)
        pixels = self._pixels_of(node_id)
        decodes = latents is not None and pixels is None and "upscale_model" not in sources
        source = latents if decodes else pixels
        if source is None:
            return None
        size = self._sizes.size_at(node_id if _WHOLE_VIDEO.match(class_type) else source) or UPLOADED_IMAGE
        autoencoder, tiling = self._autoencoder(node_id), self._tiling(node_id, class_type)
        return NodeWork(
            node_id,
            class_type,
            NodeKind.VAE_DECODE if decodes else NodeKind.VAE_ENCODE,
            family=autoencoder.name,
            shape=_area(size.pixels / 1e6) + (f",t{tiling:.1f}" if tiling > 1.0 else ""),
            tflop=(autoencoder.decode_tflop if decodes else autoencoder.encode_tflop)(size, tiling),
            fixed_s=MODEL_S,
            models=self._files.names(node_id, Role.VAE),
        )

    def _seedvr2(self, node_id: str, class_type: str, source: str) -> NodeWork:
        """Return the work of the node of the SeedVR2 pack, which encodes, samples one step, and decodes."""
        node, received = self._graph.prompt[node_id], self._sizes.size_at(source) or UPLOADED_IMAGE
        side = number(self._graph.prompt, node, "resolution", "new_resolution") or min(received.width, received.height)
        scaled = received.times(side / max(min(received.width, received.height), 1.0))
        size = replace(scaled, frames=scaled.frames * scaled.batch, batch=1.0)  # a batch of pictures is a video
        models = (*self._files.names(node_id, Role.MODEL), *self._files.names(node_id, Role.VAE))
        family = next(filter(None, map(family_named, models)), FAMILIES["seedvr2-3b"])
        coding = SEEDVR2.encode_tflop(size) + SEEDVR2.decode_tflop(size)
        return NodeWork(
            node_id,
            class_type,
            NodeKind.UPSCALE,
            family=family.name,
            shape=_area(size.pixels / 1e6),
            tflop=coding + family.network.tflop(size),
            fixed_s=3 * MODEL_S,
            models=models,
        )

    def _plain(self, node_id: str, class_type: str, pixels: str | None) -> NodeWork:
        """Return the work of a node that loads files, saves content, or does anything else."""
        reads = tuple(dict.fromkeys(named.file for named in self._files.named(node_id)))
        if reads:
            return NodeWork(node_id, class_type, NodeKind.LOAD, fixed_s=OTHER_S, reads=reads)
        saves, loads = _saves(class_type), class_type.startswith(("Load", "VHS_Load"))
        if not (pixels or saves or loads):
            return NodeWork(node_id, class_type, fixed_s=OTHER_S)
        size = self._sizes.size_at(node_id)
        megapixels = size.pixels / 1e6 if size else 0.0
        per_megapixel = SCALE_MEGAPIXEL_S if _SCALES.search(class_type) else COPY_MEGAPIXEL_S
        if saves:
            per_megapixel = FRAME_MEGAPIXEL_S if _SAVES_VIDEO.search(class_type) else PNG_MEGAPIXEL_S
        elif loads or class_type == "GetVideoComponents":  # which decodes the video that another node opened
            per_megapixel = FRAME_MEGAPIXEL_S
        kind = NodeKind.SAVE if saves else NodeKind.LOAD if loads else NodeKind.OTHER
        fixed_s = OTHER_S + per_megapixel * megapixels
        tflop = ANALYSIS_TFLOP * megapixels if _ANALYSES.search(class_type) else 0.0
        return NodeWork(node_id, class_type, kind, shape=_area(megapixels), tflop=tflop, fixed_s=fixed_s)

    def _autoencoder(self, node_id: str) -> Autoencoder:
        """Return the autoencoder that a node uses."""
        files = self._files.names(node_id, Role.VAE)
        return autoencoder_named(files[0] if files else "")

    def _tiling(self, node_id: str, class_type: str) -> float:
        """Return how many times each pixel is computed by a node that cuts the content into overlapping tiles."""
        if "Tiled" not in class_type:
            return 1.0
        node = self._graph.prompt[node_id]
        side = number(self._graph.prompt, node, "tile_size", "tile_width") or 512.0
        overlap = number(self._graph.prompt, node, "overlap") or 64.0
        return float((side / max(side - overlap, side / 4.0)) ** 2)


def _area(megapixels: float) -> str:
    """Return the name of a size class: half octaves of megapixels."""
    return f"2^{round(2 * math.log2(megapixels)) / 2:g}Mpx" if megapixels > 0 else "0Mpx"


@lru_cache(maxsize=2048)
def _saves(class_type: str) -> bool:
    """Return whether nodes of a class save content."""
    return _SAVES.search(class_type) is not None


@lru_cache(maxsize=2048)
def _encodes_text(class_type: str) -> bool:
    """Return whether nodes of a class encode a text."""
    return _ENCODES_TEXT.search(class_type) is not None
