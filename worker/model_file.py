"""What is wrong with a model file, by its own bytes: cut off, empty, or something else under its name."""

from __future__ import annotations

import zipfile
from enum import StrEnum
from pathlib import Path

import orjson

SAFETENSORS = frozenset({".safetensors", ".sft"})
TORCH = frozenset({".ckpt", ".pt", ".pth"})
LENGTH = 8
"""Bytes at the beginning of a safetensors file that say how long its header is."""
MOST_HEADER = 100_000_000
HEAD = 512
POINTER = b"version https://git-lfs.github.com/spec/"
PAGES = (b"<!doctype", b"<html")
ZIP, PICKLE, TAR, GGUF = b"PK\x03\x04", b"\x80", b"ustar", b"GGUF"
TAR_AT = 257


class SafetensorsFault(StrEnum):
    """Why the safetensors library refuses a file, in its own words."""

    TOO_SMALL = "header too small"
    TOO_LARGE = "header too large"
    LENGTH = "invalid header length"
    JSON = "invalid JSON in header"
    OFFSETS = "incomplete metadata, file not fully covered"


def safetensors_fault(path: Path) -> SafetensorsFault | None:
    """Return why the library would refuse the file. Raises OSError."""
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
        ends = [entry["data_offsets"][1] for name, entry in orjson.loads(header).items() if name != "__metadata__"]
        complete = max(ends, default=0) == size - LENGTH - length
    except (orjson.JSONDecodeError, AttributeError, KeyError, TypeError, IndexError):
        return SafetensorsFault.JSON
    return None if complete else SafetensorsFault.OFFSETS


def damage(path: Path, *, failed_to_load: bool = True) -> str | None:
    """Say what is wrong with a model file; None where nothing is, or its format is not known. Raises OSError.

    With `failed_to_load` a `.pt` is damaged, too, where it has no format of torch's; else a node of a pack may read it.
    Only headers and lengths are read: a file whose bytes changed in the middle is not noticed.
    """
    size, suffix = path.stat().st_size, path.suffix.lower()
    if size == 0:
        return "it is empty"
    with path.open("rb") as file:
        head = file.read(HEAD)
    if head.startswith(POINTER):
        return "it is the pointer of a Git LFS file, not the file"
    if head.lstrip().lower().startswith(PAGES):
        return "it is an HTML page"
    if suffix in SAFETENSORS:
        fault = safetensors_fault(path)
        return _sentence(fault, size) if fault else None
    if suffix in TORCH:
        return _torch_damage(path, head, failed_to_load=failed_to_load)
    return "it does not begin as a GGUF file" if suffix == ".gguf" and not head.startswith(GGUF) else None


def is_pickle(path: Path) -> bool:
    """Whether a file has the older format of torch, which does not say how long it is. Raises OSError."""
    with path.open("rb") as file:
        return path.suffix.lower() in TORCH and not file.read(len(ZIP)).startswith(ZIP)


def _sentence(fault: SafetensorsFault, size: int) -> str:
    reasons = {
        SafetensorsFault.TOO_SMALL: f"it ends after {size} bytes, in the middle of its header",
        SafetensorsFault.LENGTH: f"it ends after {size:,} bytes, in the middle of its header",
        SafetensorsFault.OFFSETS: f"its {size:,} bytes are not what its header lists",
        SafetensorsFault.JSON: "its header can't be read",
        SafetensorsFault.TOO_LARGE: "it does not begin as a safetensors file",
    }
    return reasons[fault]


def _torch_damage(path: Path, head: bytes, *, failed_to_load: bool) -> str | None:
    if head.startswith(ZIP):
        return None if zipfile.is_zipfile(path) else "it is a zip archive that was cut off"
    known = head.startswith(PICKLE) or head[TAR_AT:].startswith(TAR)
    return None if known or not failed_to_load else "it is neither a zip archive nor a pickle"
