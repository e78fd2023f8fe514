"""Kinds and MIME types of output files, by extension. The keys in reports are not used: `images` may contain videos."""

from __future__ import annotations

import mimetypes
from pathlib import PurePosixPath

from worker.workflow.catalog.folders import all_folders

KINDS = {
    **dict.fromkeys((".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp", ".tiff", ".avif", ".svg", ".exr"), "image"),
    ".apng": "image",
    **dict.fromkeys((".mp4", ".m4v", ".webm", ".mov", ".mkv", ".avi"), "video"),
    **dict.fromkeys((".flac", ".mp3", ".opus", ".wav", ".ogg", ".m4a", ".aac"), "audio"),
    **dict.fromkeys((".glb", ".gltf", ".obj", ".stl", ".ply", ".fbx", ".usdz", ".splat", ".spz", ".ksplat"), "3d"),
    **dict.fromkeys((".txt", ".md", ".json", ".csv", ".srt"), "document"),
    **dict.fromkeys((".safetensors", ".sft", ".ckpt", ".pt", ".pt2", ".pth", ".pkl", ".gguf"), "model"),
    ".latent": "latent",
}
MIME = {
    ".webp": "image/webp",
    ".avif": "image/avif",
    ".exr": "image/aces",
    ".apng": "image/apng",
    ".m4v": "video/mp4",
    ".mkv": "video/x-matroska",
    ".flac": "audio/flac",
    ".opus": "audio/opus",
    ".ogg": "audio/ogg",
    ".m4a": "audio/mp4",
    ".glb": "model/gltf-binary",
    ".gltf": "model/gltf+json",
    ".obj": "model/obj",
    ".stl": "model/stl",
    ".usdz": "model/vnd.usdz+zip",
    ".md": "text/markdown",
}
"""Types that Python itself does not know, or knows differently in different versions."""
_PYTHON_TYPES = mimetypes.MimeTypes()
"""Python's own table. The module's functions also read /etc/mime.types, which differs between machines."""


def kind_of(filename: str) -> str:
    """Return the kind of a file: image, video, audio, 3d, latent, document, model or file."""
    return KINDS.get(PurePosixPath(filename).suffix.lower(), "file")


def is_model(folder: str, filename: str) -> bool:
    """Return True for a file with the weights of a model. A `.bin` file is one if it is in a folder of models."""
    if kind_of(filename) == "model":
        return True
    parts = PurePosixPath(folder).parts
    return filename.lower().endswith(".bin") and bool(parts) and parts[0] in all_folders()


def mime_of(filename: str) -> str:
    """Return the MIME type of a file by its extension."""
    suffix = PurePosixPath(filename).suffix.lower()
    return MIME.get(suffix) or _PYTHON_TYPES.guess_type(filename)[0] or "application/octet-stream"
