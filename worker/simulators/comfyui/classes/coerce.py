"""Stand-ins by type: whatever another node hands on, a value of the wanted type that carries its trace on.

Text and numbers that stand in place of a picture fail as they do in ComfyUI, which checks no value of such an input.
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
    match value:
        case Images():
            return value
        case Masks():
            return Images(tuple(frame.convert("RGB") for frame in value.frames), value.trace)
        case Latent():
            return _drawn((value.width, value.height), value.trace, value.batch * value.length)
        case Video():
            return value.images
        case str():
            raise AttributeError("'str' object has no attribute 'shape'")
        case int() | float():
            raise TypeError(f"{type(value).__name__!r} object is not subscriptable")
        case _:
            return _drawn(DEFAULT_SIZE, trace_of(value))


def masks(value: Value) -> Masks:
    if isinstance(value, Masks):
        return value
    seen = images(value)
    return Masks(tuple(frame.convert("L") for frame in seen.frames), seen.trace)


def latent(value: Value) -> Latent:
    match value:
        case Latent():
            return value
        case Images() | Masks():
            return Latent(*value.size, batch=max(1, len(value.frames)), trace=value.trace)
        case _:
            return Latent(*DEFAULT_SIZE, trace=trace_of(value))


def audio(value: Value) -> Audio:
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
    return value if isinstance(value, Video) else Video(images(value), DEFAULT_FPS)


def steps(value: Value) -> int:
    return value.steps if isinstance(value, Sigmas) else DEFAULT_STEPS


def convert(kind: str, value: Value, trace: Trace) -> Value:
    """Make a value of a catalog type out of another one; scalars are left to the caller."""
    if kind == "SIGMAS":
        return Sigmas(trace.steps or steps(value), trace)
    make = _MAKERS.get(kind)
    return OpaqueValue(kind, trace) if make is None else make(value)


def _drawn(size: tuple[int, int], trace: Trace, count: int = 1) -> Images:
    # Pillow takes a moment to import: not before the first picture.
    from worker.simulators.comfyui.classes import placeholder

    return Images(placeholder.draw(size, trace, count), trace)


_MAKERS: Mapping[str, Callable[[Value], Value]] = {
    "IMAGE": images,
    "MASK": masks,
    "LATENT": latent,
    "AUDIO": audio,
    "VIDEO": video,
}
