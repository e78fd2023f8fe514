"""The route for downloads: GET /view, with re-encoded previews and single channels."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from io import BytesIO
from pathlib import Path

from aiohttp import web

from worker.simulators.comfyui.engine import ENGINE
from worker.simulators.comfyui.folders import ComfyFolders, OutsideFolder, inside, split_annotation
from worker.simulators.comfyui.server.mime import OTHER, mime_of
from worker.simulators.comfyui.server.responses import ServerFailure, empty_response

DANGEROUS = frozenset(
    {
        "text/html",
        "text/html-sandboxed",
        "application/xhtml+xml",
        "text/javascript",
        "application/javascript",
        "text/css",
        "text/xml",
        "application/xml",
        "image/svg+xml",
    }
)
"""Types that a browser could execute. They are sent as downloads."""


class FileNotServed(Exception):
    """The file cannot be served. `status` is the status of the response."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


def routes() -> list[web.RouteDef]:
    return [web.get("/view", view)]


async def view(request: web.Request) -> web.StreamResponse:
    """Return a file, its preview (`preview`) or one of its channels (`channel`)."""
    try:
        path = resolve_file(request.app[ENGINE].folders, request.query)
    except FileNotServed as error:
        return empty_response(error.status)
    channel = request.query.get("channel", "")
    if "preview" in request.query:
        return await _encoded(path, lambda: _preview(path, request.query["preview"], channel))
    if channel in ("rgb", "a"):
        return await _encoded(path, lambda: _single_channel(path, channel))
    return _unchanged(path, request.headers.get("Sec-Fetch-Dest"))


def resolve_file(folders: ComfyFolders, query: Mapping[str, str]) -> Path:
    """Return the path for `filename`, `type` and `subfolder`. Raises `FileNotServed`."""
    annotated_name = query.get("filename")
    if annotated_name is None or annotated_name.startswith("blake3:"):
        raise FileNotServed(404)
    filename, folder_type = split_annotation(annotated_name)
    if not filename or filename.startswith("/") or ".." in filename:
        raise FileNotServed(400)
    try:
        base = folders.path(folder_type or query.get("type", "output"))
        # Only the last part of a path in `filename` is used. The folder must be given as `subfolder`.
        path = inside(base, query.get("subfolder", "")) / Path(filename).name
    except KeyError as error:
        raise FileNotServed(400) from error
    except OutsideFolder as error:
        raise FileNotServed(403) from error
    if not path.is_file():
        raise FileNotServed(404)
    return path


def _unchanged(path: Path, fetched_for: str | None) -> web.FileResponse:
    """Return the file unchanged. ETag, ranges and conditional requests are supported.

    A type that a browser could execute is sent as a download, except an SVG file that the browser loads as an image.
    `fetched_for` is the header Sec-Fetch-Dest.
    """
    mime = mime_of(path)
    disposition = f"filename={_quoted(path)}"
    headers = {"X-Content-Type-Options": "nosniff"}
    if mime in DANGEROUS:
        headers |= {"Vary": "Sec-Fetch-Dest", "Cache-Control": "no-store"}
        if mime != "image/svg+xml" or fetched_for != "image":
            mime = OTHER
            disposition = f"attachment; {disposition}"
    return web.FileResponse(path, headers={**headers, "Content-Disposition": disposition, "Content-Type": mime})


async def _encoded(path: Path, encode: Callable[[], tuple[str, bytes]]) -> web.Response:
    """Run `encode` in a thread, and return its result. A file that is no image is a server failure, as in ComfyUI."""
    try:
        mime, body = await asyncio.to_thread(encode)
    except OSError as error:
        raise ServerFailure(f"{path.name} is not an image") from error
    return web.Response(body=body, headers={"Content-Type": mime, "Content-Disposition": f"filename={_quoted(path)}"})


def _preview(path: Path, requested: str, channel: str) -> tuple[str, bytes]:
    """Return the media type and the bytes of a preview.

    `requested` is `webp` or `jpeg` with an optional `;quality`. WebP is also used for any other format, and when the
    alpha channel is requested.
    """
    from PIL import Image

    parts = requested.split(";")
    kind = "jpeg" if parts[0] == "jpeg" and "a" not in channel else "webp"
    quality = int(parts[-1]) if parts[-1].isdigit() else 90
    body = BytesIO()
    with Image.open(path) as image:
        flat = image.convert("RGB") if kind == "jpeg" or channel == "rgb" else image
        flat.save(body, format=kind, quality=quality)
    return f"image/{kind}", body.getvalue()


def _single_channel(path: Path, channel: str) -> tuple[str, bytes]:
    """Return the colours without alpha (`rgb`), or the alpha channel over black, as PNG."""
    from PIL import Image

    body = BytesIO()
    with Image.open(path) as image:
        if channel == "rgb":
            image.convert("RGB").save(body, format="PNG")
        else:
            alpha = image.getchannel("A") if image.mode == "RGBA" else Image.new("L", image.size, 255)
            flat = Image.new("RGBA", image.size)
            flat.putalpha(alpha)
            flat.save(body, format="PNG")
    return "image/png", body.getvalue()


def _quoted(path: Path) -> str:
    """Return the file's name as a quoted string for a header."""
    escaped = path.name.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
