"""The answers of calls: results as JSON or as a file, and descriptions of exceptions."""

from __future__ import annotations

import base64
import io
import json
import math
import os
import traceback
from collections.abc import Iterable
from pathlib import Path

LONGEST_TEXT = 2000
"""Most characters of a message that is sent to the worker."""
DEEPEST = 50
"""Levels of a result in which the place of a value without a JSON form is searched."""
COLOR_MODES = {"CMYK", "HSV", "LAB", "YCbCr"}
"""Modes of PIL images that PNG does not have, and that RGB can show."""
SIGNATURES = (
    (0, b"\x89PNG\r\n\x1a\n", "image/png"),
    (0, b"\xff\xd8\xff", "image/jpeg"),
    (0, b"GIF8", "image/gif"),
    (8, b"WEBP", "image/webp"),
    (8, b"WAVE", "audio/wav"),
    (4, b"ftyp", "video/mp4"),
    (0, b"\x1a\x45\xdf\xa3", "video/webm"),
    (0, b"OggS", "audio/ogg"),
    (0, b"fLaC", "audio/flac"),
    (0, b"ID3", "audio/mpeg"),
    (0, b"glTF", "model/gltf-binary"),
    (0, b"%PDF-", "application/pdf"),
)
"""Offset, bytes and media type of files."""


class UnsupportedResultError(Exception):
    """A handler has returned a value that cannot be sent, or that is too large."""


def encode_result(value: object) -> tuple[str, bytes]:
    """Return the media type and the data of a result. Raises UnsupportedResultError for a value without a JSON form."""
    file = encode_file(value)
    if file is not None:
        return file
    try:
        return "application/json", json.dumps(value, default=_encode_nested, allow_nan=False).encode()
    except (TypeError, ValueError, RecursionError) as error:
        reason = describe_unsupported(value) or f"the result cannot be sent as JSON: {error}"
        raise UnsupportedResultError(reason) from error


def encode_file(value: object) -> tuple[str, bytes] | None:
    """Return the media type and the data of bytes or of a PIL image, which becomes a PNG. Return None for the rest.

    Raises UnsupportedResultError for an image that PNG cannot hold.
    """
    if isinstance(value, (bytes, bytearray, memoryview)):
        data = bytes(value)
        known = (kind for start, head, kind in SIGNATURES if data[start : start + len(head)] == head)
        return next(known, "application/octet-stream"), data
    if not any(base.__module__ == "PIL.Image" and base.__name__ == "Image" for base in type(value).__mro__):
        return None
    image, png = value, io.BytesIO()
    if image.mode in COLOR_MODES:  # type: ignore[attr-defined]
        image = image.convert("RGB")  # type: ignore[attr-defined]
    try:
        image.save(png, format="PNG")  # type: ignore[attr-defined]
    except OSError as error:
        raise UnsupportedResultError(f"{error}: convert the image, for example by `image.convert('RGB')`") from error
    return "image/png", png.getvalue()


def _encode_nested(value: object) -> object:
    """Return the JSON form of a file inside a result. Raises TypeError for other values."""
    file = encode_file(value)
    if file is not None:
        return {"media_type": file[0], "data": base64.b64encode(file[1]).decode()}
    raise TypeError(f"a {type(value).__name__} has no JSON form")


def describe_unsupported(value: object, place: str = "result", depth: int = 0) -> str | None:
    """Return a sentence about the first value in a result that has no JSON form, or None if none is found."""
    problem = _own_problem(value, place)
    if problem or depth > DEEPEST:
        return problem
    found = (describe_unsupported(item, f"{place}[{key!r}]", depth + 1) for key, item in _items(value))
    return next(filter(None, found), None)


def _items(value: object) -> Iterable[tuple[object, object]]:
    """Return the items of a dict, a list or a tuple with their keys or indexes."""
    if isinstance(value, dict):
        return value.items()
    return enumerate(value) if isinstance(value, (list, tuple)) else ()


def _own_problem(value: object, place: str) -> str | None:
    """Return why a value has no JSON form, apart from the values in it."""
    if isinstance(value, dict):
        other = next((key for key in value if not isinstance(key, (str, int, float, type(None)))), None)
        return None if other is None else f"{place} has a key of type {type(other).__name__}: keys have to be texts"
    if isinstance(value, float) and not math.isfinite(value):
        return f"{place} is {value}, which JSON does not have"
    if isinstance(value, (str, int, float, list, tuple, type(None))) or encode_file(value) is not None:
        return None
    kind = f"{type(value).__module__}.{type(value).__qualname__}".removeprefix("builtins.")
    return f"{place} is of type {kind}; return dict, list, str, numbers, None, bytes or a PIL image"


def describe_error(error: BaseException) -> str:
    """Return the class and the message of an exception."""
    if isinstance(error, SystemExit):
        return f"sys.exit({error.code!r}) was called"
    try:
        message = str(error)[:LONGEST_TEXT]
    except Exception:  # noqa: BLE001 - a class of the app
        message = "(its message cannot be shown)"
    if _is_missing_variable(error):
        message += ": the variable is not set for handlers; WORKER_HANDLERS_ENV names those that they see"
    return f"{type(error).__name__}: {message}" if message else type(error).__name__


def describe_place(error: BaseException, app: Path) -> str:
    """Return the last place in the app's own code, and the place at which the exception was raised if it is another."""
    frames = traceback.extract_tb(error.__traceback__)
    if not frames:
        return ""
    outside = (str(app / ".venv"), str(Path(__file__).parent))
    own = [frame for frame in frames if frame.filename.startswith(str(app)) and not frame.filename.startswith(outside)]
    place = _describe_frame(own[-1] if own else frames[-1])
    return place if not own or own[-1] is frames[-1] else f"{place} (raised at {_describe_frame(frames[-1])})"


def _describe_frame(frame: traceback.FrameSummary) -> str:
    """Return file, line, function and code of a frame."""
    return f"{frame.filename}:{frame.lineno} in {frame.name}" + (f": {frame.line}" if frame.line else "")


def _is_missing_variable(error: BaseException) -> bool:
    """Return whether the exception comes from the environment, which has no such variable."""
    frames = traceback.extract_tb(error.__traceback__)
    return isinstance(error, KeyError) and bool(frames) and frames[-1].filename in ("<frozen os>", os.__file__)
