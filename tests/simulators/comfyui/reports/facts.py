"""The comparable results of a prompt, in the form of tests/data/reports.json."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from PIL import Image

_RANDOM = re.compile(
    r"(?<=_temp_)[a-z0-9]{5}(?=_)|(?<=preview3d_)[0-9a-f]{32}|(?<=preview3d_advanced_)[0-9a-f]{32}"
    r"|(?<=preview_splat_)[0-9a-f]{32}|(?<=preview_pointcloud_)[0-9a-f]{32}|(?<=bg_)[0-9a-f]{32}"
)
CORNERS = ((0.0, 0.0), (0.5, 0.5), (0.999, 0.999))


def file_paths(base: Path) -> dict[str, Path]:
    """Return the files in output and temp by their path relative to the base folder."""
    paths = (path for kind in ("output", "temp") for path in (base / kind).rglob("*") if path.is_file())
    return {str(path.relative_to(base)): path for path in paths}


def fact_of_file(path: Path) -> Any:
    """Return the format, mode, size, frames, three pixels and texts of an image, or the content of a text file."""
    if path.suffix in (".txt", ".json", ".md", ".csv"):
        return path.read_text("utf-8")
    try:
        with Image.open(path) as image:
            frames = getattr(image, "n_frames", 1)
            pixels = [image.convert("RGBA").getpixel(_at(image, *place)) for place in CORNERS]
            texts = sorted(key for key in image.info if key in ("prompt", "workflow", "x"))
            return [image.format, image.mode, list(image.size), frames, [list(pixel) for pixel in pixels], texts]
    except OSError:
        return path.suffix


def fact_of_frame(frame: Any) -> str:
    """Return a frame in short: its event, and the node or nodes that it names."""
    if isinstance(frame, bytes):
        return f"BIN{int.from_bytes(frame[:4], 'big')}"
    kind, data = frame["type"], frame["data"]
    if kind in ("executing", "executed", "progress"):
        return f"{kind}:{data['node']}"
    if kind == "execution_cached":
        return f"{kind}:{','.join(sorted(data['nodes']))}"
    return str(kind)


def fact_of_run(frames: list[Any], entry: Any, files: dict[str, Path]) -> dict[str, Any]:
    """Return the frames, outputs and error of a prompt, and the files that it wrote."""
    kinds = [fact_of_frame(frame) for frame in frames if isinstance(frame, bytes) or frame["type"] != "status"]
    errors = [data for name, data in entry["status"]["messages"] if name == "execution_error"]
    error = [errors[0]["node_id"], errors[0]["exception_type"], errors[0]["exception_message"]] if errors else None
    kept = {name: fact_of_file(path) for name, path in files.items()}
    return {"frames": " ".join(kinds), "outputs": entry["outputs"], "error": error, "files": kept}


def fact_of_refusal(answer: Any) -> dict[str, Any]:
    """Return the type of the error, and the types of each node's errors."""
    nodes = {name: sorted(error["type"] for error in node["errors"]) for name, node in answer["node_errors"].items()}
    return {"refused": answer["error"]["type"], "nodes": nodes}


def normalize(text: str, base: Path) -> str:
    """Replace random parts of file names by `RRRRR`, and the base folder by `BASE`."""
    return _RANDOM.sub("RRRRR", text).replace(str(base), "BASE")


def _at(image: Image.Image, x: float, y: float) -> tuple[int, int]:
    return int(image.width * x), int(image.height * y)
