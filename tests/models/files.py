"""Model files, intact and damaged."""

from __future__ import annotations

import io
import json
import zipfile

PAGE = b"<!DOCTYPE html><html><body>Please sign in</body></html>"
POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a2146\nsize 12345\n"


def safetensors(size: int = 1000) -> bytes:
    """Return a safetensors file with one tensor of this many bytes."""
    header = json.dumps({"a": {"dtype": "U8", "shape": [size], "data_offsets": [0, size]}, "__metadata__": {}}).encode()
    return len(header).to_bytes(8, "little") + header + b"w" * size


def archive() -> bytes:
    """Return a zip archive, as torch writes checkpoints."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as found:
        found.writestr("archive/data.pkl", b"\x80\x02}q\x00." * 100)
    return file.getvalue()


GOOD = safetensors()
DAMAGED = {
    "cut.safetensors": GOOD[:-1],
    "long.safetensors": GOOD + b"x",
    "header.safetensors": GOOD[:20],
    "four.safetensors": GOOD[:4],
    "empty.safetensors": b"",
    "page.safetensors": PAGE,
    "pointer.safetensors": POINTER,
    "json.safetensors": b'{"error": "not found"}',
    "bytes.sft": GOOD[:9] + b"\0" + GOOD[10:],
    "empty.ckpt": b"",
    "page.ckpt": b"\n " + PAGE,
    "pointer.pt": POINTER,
    "cut.ckpt": archive()[:-30],
    "text.pth": b"not found",
    "page.gguf": PAGE,
    "text.gguf": b"not found",
}
"""By names that the loaders take."""
HEALTHY = {
    "good.safetensors": GOOD,
    "none.sft": b"\x02\0\0\0\0\0\0\0{}",
    "good.ckpt": archive(),
    "old.ckpt": b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.",
    "oldest.pt": b"a" * 257 + b"ustar" + b"0" * 300,
    "good.gguf": b"GGUF\x03\0\0\0",
    "other.onnx": b"\x08\x07",
    "other.bin": b"text",
}
