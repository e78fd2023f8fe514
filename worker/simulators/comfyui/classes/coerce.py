"""Stand-ins by type: whatever another node hands on, a value of the wanted type that carries its trace on.

Text and numbers that stand in place of a picture fail as they do in ComfyUI, which checks no value of such an input.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from worker.simulators.comfyui.classes.values import (
    Clip,
    Latent,
    Masks,
    Pictures,
    Sigmas,
    Sound,
    Thing,
    Trace,
    Value,
    trace_of,
)

DEFAULT_SIZE = (512, 512)
DEFAULT_STEPS = 20
DEFAULT_FPS = 24.0


def pictures(value: Value) -> Pictures:
    match value:
        case Pictures():
            return value
        case Masks():
            return Pictures(tuple(frame.convert("RGB") for frame in value.frames), value.trace)
        case Latent():
            return _drawn((value.width, value.height), value.trace, value.batch * value.length)
        case Clip():
            return value.pictures
        case str():
            raise AttributeError("'str' object has no attribute 'shape'")
        case int() | float():
            raise TypeError(f"{type(value).__name__!r} object is not subscriptable")
        case _:
            return _drawn(DEFAULT_SIZE, trace_of(value))


def masks(value: Value) -> Masks:
    if isinstance(value, Masks):
        return value
    seen = pictures(value)
    return Masks(tuple(frame.convert("L") for frame in seen.frames), seen.trace)


def latent(value: Value) -> Latent:
    match value:
        case Latent():
            return value
        case Pictures() | Masks():
            return Latent(*value.size, batch=max(1, len(value.frames)), trace=value.trace)
        case _:
            return Latent(*DEFAULT_SIZE, trace=trace_of(value))


def sound(value: Value) -> Sound:
    match value:
        case Sound():
            return value
        case Clip() if value.sound is not None:
            return value.sound
        case Latent() if value.seconds:
            return Sound(value.seconds, seed=value.trace.seed, trace=value.trace)
        case _:
            trace = trace_of(value)
            return Sound(1.0, seed=trace.seed, trace=trace)


def clip(value: Value) -> Clip:
    return value if isinstance(value, Clip) else Clip(pictures(value), DEFAULT_FPS)


def steps(value: Value) -> int:
    return value.steps if isinstance(value, Sigmas) else DEFAULT_STEPS


def of_type(kind: str, value: Value, trace: Trace) -> Value:
    """Make a value of a catalog type out of another one; scalars are left to the caller."""
    if kind == "SIGMAS":
        return Sigmas(trace.steps or steps(value), trace)
    make = _MAKERS.get(kind)
    return Thing(kind, trace) if make is None else make(value)


def _drawn(size: tuple[int, int], trace: Trace, count: int = 1) -> Pictures:
    # Pillow takes a moment to import: not before the first picture.
    from worker.simulators.comfyui.classes import placeholder

    return Pictures(placeholder.drawn(size, trace, count), trace)


_MAKERS: Mapping[str, Callable[[Value], Value]] = {
    "IMAGE": pictures,
    "MASK": masks,
    "LATENT": latent,
    "AUDIO": sound,
    "VIDEO": clip,
}
