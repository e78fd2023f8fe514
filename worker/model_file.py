"""Damage of model files, found from their own bytes: truncated, empty or of another format."""

from __future__ import annotations

import zipfile
from enum import StrEnum
from pathlib import Path

import orjson

SAFETENSORS = frozenset({".safetensors", ".sft"})
TORCH = frozenset({".ckpt", ".pt", ".pth"})
LENGTH = 8
"""Bytes at the start of a safetensors file that hold the length of its header."""
MOST_HEADER = 100_000_000
"""Largest header that the safetensors library accepts."""
HEAD = 512
"""Bytes at the start of a file that identify its format."""
POINTER = b"version https://git-lfs.github.com/spec/"
"""Start of a Git LFS pointer."""
PAGES = (b"<!doctype", b"<html")
"""Starts of an HTML page."""
ZIP, PICKLE, TAR, GGUF = b"PK\x03\x04", b"\x80", b"ustar", b"GGUF"
TAR_AT = 257
"""Offset of the tar format's signature."""


class SafetensorsFault(StrEnum):
    """Errors of the safetensors library, with its own messages."""

    TOO_SMALL = "header too small"
    TOO_LARGE = "header too large"
    LENGTH = "invalid header length"
    JSON = "invalid JSON in header"
    OFFSETS = "incomplete metadata, file not fully covered"


def safetensors_fault(path: Path) -> SafetensorsFault | None:
    """Return why the safetensors library would reject the file, None if it would not. Raises OSError.

    A safetensors file has the length of its header in 8 bytes, the header (JSON), and the tensors, whose offsets are in
    the header. The last offset has to be the end of the file.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        length = int.from_bytes(file.read(LENGTH), "little")
        if size < LENGTH:
            return SafetensorsFault.TOO_SMALL
        if length > MOST_HEADER:
            return SafetensorsFault.TOO_LARGE
        if length > size - LENGTH:
            return SafetensorsFault.LENGTH
        header = file.read(length)
    try:
        tensors = [entry for name, entry in orjson.loads(header).items() if name != "__metadata__"]
        is_complete = max((entry["data_offsets"][1] for entry in tensors), default=0) == size - LENGTH - length
    except (orjson.JSONDecodeError, AttributeError, KeyError, TypeError, IndexError):
        return SafetensorsFault.JSON
    return None if is_complete else SafetensorsFault.OFFSETS


def damage(path: Path, *, failed_to_load: bool = True) -> str | None:
    """Return what is wrong with a model file as a clause, such as `it is empty`. Raises OSError.

    Return None if nothing is wrong or the format is unknown. Only headers and lengths are read, so changed bytes in the
    middle are not noticed. With `failed_to_load`, a file with one of torch's suffixes must have one of torch's formats.
    Without it, a pack's node may be able to read another format.
    """
    size, suffix = path.stat().st_size, path.suffix.lower()
    if size == 0:
        return "it is empty"
    with path.open("rb") as file:
        head = file.read(HEAD)
    if head.startswith(POINTER):
        return "it is a Git LFS pointer instead of the file"
    if head.lstrip().lower().startswith(PAGES):
        return "it is an HTML page"
    if suffix in SAFETENSORS:
        fault = safetensors_fault(path)
        return _fault_message(fault, size) if fault else None
    if suffix in TORCH:
        return _torch_damage(path, head, failed_to_load=failed_to_load)
    is_invalid_gguf = suffix == ".gguf" and not head.startswith(GGUF)
    return "it does not start like a GGUF file" if is_invalid_gguf else None


def is_pickle(path: Path) -> bool:
    """Return whether a file has torch's older format, which does not contain its length. Raises OSError.

    Torch's newer format is a zip archive.
    """
    with path.open("rb") as file:
        return path.suffix.lower() in TORCH and not file.read(len(ZIP)).startswith(ZIP)


def _fault_message(fault: SafetensorsFault, size: int) -> str:
    """Return the message for a fault of a file of `size` bytes."""
    reasons = {
        SafetensorsFault.TOO_SMALL: f"it ends after {size} bytes, in the middle of its header",
        SafetensorsFault.LENGTH: f"it ends after {size:,} bytes, in the middle of its header",
        SafetensorsFault.OFFSETS: f"its {size:,} bytes do not match its header",
        SafetensorsFault.JSON: "its header cannot be read",
        SafetensorsFault.TOO_LARGE: "it does not start like a safetensors file",
    }
    return reasons[fault]


def _torch_damage(path: Path, head: bytes, *, failed_to_load: bool) -> str | None:
    """Return what is wrong with a file of torch that starts with the bytes `head`, None if nothing is."""
    if head.startswith(ZIP):
        return None if zipfile.is_zipfile(path) else "it is a truncated zip archive"
    is_torch_format = head.startswith(PICKLE) or head[TAR_AT:].startswith(TAR)
    return None if is_torch_format or not failed_to_load else "it is neither a zip archive nor a pickle"
