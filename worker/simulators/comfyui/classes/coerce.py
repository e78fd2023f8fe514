"""Conversion of node values to the type that an input needs. The trace of the value is kept.

A text or number where an image is needed raises the same exceptions as in ComfyUI, which does not check such inputs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from worker.simulators.comfyui.classes.values import (
    Audio,
    Images,
    Latent,
    Masks,
    OpaqueValue,
    Sigmas,
    Trace,
    Value,
    Video,
    trace_of,
)

DEFAULT_SIZE = (512, 512)
DEFAULT_STEPS = 20
DEFAULT_FPS = 24.0


def images(value: Value) -> Images:
    """Return the value as images. A placeholder is drawn for a latent and for any value that is not visual."""
    match value:
        case Images():
            return value
        case Masks():
            return Images(tuple(frame.convert("RGB") for frame in value.frames), value.trace)
        case Latent():
            return _draw_placeholder((value.width, value.height), value.trace, value.batch * value.length)
        case Video():
            return value.images
        case str():
            raise AttributeError("'str' object has no attribute 'shape'")
        case int() | float():
            raise TypeError(f"{type(value).__name__!r} object is not subscriptable")
        case _:
            return _draw_placeholder(DEFAULT_SIZE, trace_of(value))


def masks(value: Value) -> Masks:
    """Return the value as masks: the brightness of its images."""
    if isinstance(value, Masks):
        return value
    source = images(value)
    return Masks(tuple(frame.convert("L") for frame in source.frames), source.trace)


def latent(value: Value) -> Latent:
    """Return a latent with the size and count of the value, or with `DEFAULT_SIZE`."""
    match value:
        case Latent():
            return value
        case Images() | Masks():
            return Latent(*value.size, batch=max(1, len(value.frames)), trace=value.trace)
        case _:
            return Latent(*DEFAULT_SIZE, trace=trace_of(value))


def audio(value: Value) -> Audio:
    """Return the value as audio. One second stands for a value without a duration."""
    match value:
        case Audio():
            return value
        case Video() if value.audio is not None:
            return value.audio
        case Latent() if value.seconds:
            return Audio(value.seconds, seed=value.trace.seed, trace=value.trace)
        case _:
            trace = trace_of(value)
            return Audio(1.0, seed=trace.seed, trace=trace)


def video(value: Value) -> Video:
    """Return the value as a video, with `DEFAULT_FPS` when it is not one."""
    return value if isinstance(value, Video) else Video(images(value), DEFAULT_FPS)


def steps(value: Value) -> int:
    """Return the number of steps of sigmas, or `DEFAULT_STEPS` for any other value."""
    return value.steps if isinstance(value, Sigmas) else DEFAULT_STEPS


def convert(kind: str, value: Value, trace: Trace) -> Value:
    """Convert a value to a type of the catalog such as `IMAGE`. The caller handles scalar types itself."""
    if kind == "SIGMAS":
        return Sigmas(trace.steps or steps(value), trace)
    converter = _CONVERTERS.get(kind)
    return OpaqueValue(kind, trace) if converter is None else converter(value)


def _draw_placeholder(size: tuple[int, int], trace: Trace, count: int = 1) -> Images:
    """Return `count` placeholder images of a size in pixels."""
    # Importing Pillow takes time, so it happens with the first image.
    from worker.simulators.comfyui.classes import placeholder

    return Images(placeholder.draw(size, trace, count), trace)


_CONVERTERS: Mapping[str, Callable[[Value], Value]] = {
    "IMAGE": images,
    "MASK": masks,
    "LATENT": latent,
    "AUDIO": audio,
    "VIDEO": video,
}
