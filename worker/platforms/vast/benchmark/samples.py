"""Input files for the benchmark of a template that needs some. No two are equal, so that ComfyUI never has them cached.

Their sizes are those that `worker.load` assumes for files that it has not seen.
"""

from __future__ import annotations

import base64
import io
import math
import struct
import wave
from importlib.resources import files
from random import Random

from worker.load.features.content_size import UPLOADED_IMAGE
from worker.workflow.templates.template import ParameterKind

RATE, SECONDS = 44_100, 5
"""Samples a second and seconds of the sound."""
FREE_BOX = 16
"""Bytes of an MP4 box that players ignore: its size, its type, and a random number."""


def sample_uri(kind: ParameterKind, rng: Random) -> str:
    """Return a new picture, video or sound as a data URI."""
    match kind:
        case ParameterKind.VIDEO:
            return _uri("video/mp4", _video(rng))
        case ParameterKind.AUDIO:
            return _uri("audio/wav", _sound(rng))
    return _uri("image/png", _picture(rng))


def _uri(media_type: str, data: bytes) -> str:
    """Return data as a data URI."""
    return f"data:{media_type};base64,{base64.b64encode(data).decode()}"


def _picture(rng: Random) -> bytes:
    """Return a picture of a bright disc before a gradient, as PNG."""
    from PIL import Image, ImageDraw  # imported here, because only some benchmarks need it

    size = round(UPLOADED_IMAGE.width), round(UPLOADED_IMAGE.height)
    gradient = Image.linear_gradient("L")
    channels = [gradient.rotate(angle).point(lambda value: value // 2 + 64) for angle in (0, 90, 180)]
    picture = Image.merge("RGB", channels).resize(size)
    left, top = (rng.uniform(0.2, 0.4) * side for side in size)
    color = tuple(rng.randint(128, 255) for _ in range(3))
    ImageDraw.Draw(picture).ellipse((left, top, left + size[0] / 3, top + size[1] / 3), fill=color)
    file = io.BytesIO()
    picture.save(file, "PNG", compress_level=1)
    return file.getvalue()


def _video(rng: Random) -> bytes:
    """Return the packaged video with a random number at its end.

    It shows a moving disc before moving gradients, in 81 frames of 832x480 (H.264), which is `UPLOADED_VIDEO`. It was
    drawn with numpy and encoded with PyAV.
    """
    video = files(__package__).joinpath("video.mp4").read_bytes()
    return video + struct.pack(">I4sQ", FREE_BOX, b"free", rng.getrandbits(64))


def _sound(rng: Random) -> bytes:
    """Return a tone of a random pitch, as a WAV file."""
    pitch = rng.uniform(200, 400)
    wave_length = [round(8000 * math.sin(2 * math.pi * pitch * index / RATE)) for index in range(RATE)]
    file = io.BytesIO()
    with wave.open(file, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(RATE)
        sound.writeframes(struct.pack(f"<{RATE}h", *wave_length) * SECONDS)
    return file.getvalue()
