"""The work of the text encoders."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache

_NAMED: tuple[tuple[str, float, int], ...] = (
    (r"umt5|t5.?xxl|t5xxl", 4.8, 512),
    (r"mistral", 23.0, 512),
    (r"gpt.?oss", 4.0, 512),
    (r"gemma.*12b", 12.0, 512),
    (r"gemma.*4b", 4.0, 300),
    (r"gemma", 2.6, 300),
    (r"qwen.*(7b|8b)|llama|llava", 7.5, 300),
    (r"qwen.*4b", 4.0, 300),
    (r"qwen", 3.0, 300),
    (r"clip_g|bigg", 0.7, 77),
    (r"clip|byt5", 0.15, 77),
)
"""Names of text encoders, their parameters in billions, and the tokens that they are usually applied to."""
_PATTERNS = tuple((re.compile(pattern), 2e-3 * billions * tokens) for pattern, billions, tokens in _NAMED)
CHECKPOINT = 0.15
"""10^12 operations of the text encoders in a checkpoint, which are those of CLIP."""


def text_encoder_tflop(files: Iterable[str]) -> float:
    """Return the work of encoding a text with the text encoders in these files."""
    return sum(_tflop(file) for file in files)


@lru_cache(maxsize=2048)
def _tflop(file: str) -> float:
    """Return the work of encoding a text with the text encoder in a file, or with those in a checkpoint."""
    name = file.casefold()
    return next((tflop for pattern, tflop in _PATTERNS if pattern.search(name)), CHECKPOINT)
