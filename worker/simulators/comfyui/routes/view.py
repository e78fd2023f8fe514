"""Files out: GET /view, with re-encoded previews and single channels."""

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
"""Types that a browser would run: handed over as downloads."""


class FileNotServed(Exception):
    """The file can't be had; carries the status."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


def routes() -> list[web.RouteDef]:
    return [web.get("/view", view)]


async def view(request: web.Request) -> web.StreamResponse:
    try:
        path = resolve_file(request.app[ENGINE].folders, request.query)
    except FileNotServed as refused:
        return empty_response(refused.status)
    channel = request.query.get("channel", "")
    if "preview" in request.query:
        return await _encoded(path, lambda: _preview(path, request.query["preview"], channel))
    if channel in ("rgb", "a"):
        return await _encoded(path, lambda: _single_channel(path, channel))
    return _plain(path, request.headers.get("Sec-Fetch-Dest"))


def resolve_file(folders: ComfyFolders, query: Mapping[str, str]) -> Path:
    """Resolve `filename`, `type` and `subfolder` to a file. Raises `ViewRefused`."""
    named = query.get("filename")
    if named is None or named.startswith("blake3:"):
        raise FileNotServed(404)
    filename, annotated = split_annotation(named)
    if not filename or filename.startswith("/") or ".." in filename:
        raise FileNotServed(400)
    try:
        base = folders.path(annotated or query.get("type", "output"))
        # Only the last part of a path in `filename` counts: the folder has to come as `subfolder`.
        path = inside(base, query.get("subfolder", "")) / Path(filename).name
    except KeyError as error:
        raise FileNotServed(400) from error
    except OutsideFolder as error:
        raise FileNotServed(403) from error
    if not path.is_file():
        raise FileNotServed(404)
    return path


def _plain(path: Path, fetched_for: str | None) -> web.FileResponse:
    """The file as it is, with ETag, ranges and conditions."""
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
    try:
        mime, body = await asyncio.to_thread(encode)
    except OSError as error:
        raise ServerFailure("not an image") from error
    return web.Response(body=body, headers={"Content-Type": mime, "Content-Disposition": f"filename={_quoted(path)}"})


def _preview(path: Path, wanted: str, channel: str) -> tuple[str, bytes]:
    """`webp` or `jpeg` with an optional `;quality`; webp for anything else, and where alpha has to stay."""
    from PIL import Image

    parts = wanted.split(";")
    kind = "jpeg" if parts[0] == "jpeg" and "a" not in channel else "webp"
    quality = int(parts[-1]) if parts[-1].isdigit() else 90
    body = BytesIO()
    with Image.open(path) as image:
        flat = image.convert("RGB") if kind == "jpeg" or channel == "rgb" else image
        flat.save(body, format=kind, quality=quality)
    return f"image/{kind}", body.getvalue()


def _single_channel(path: Path, channel: str) -> tuple[str, bytes]:
    """The colours without alpha, or alpha over black, as PNG."""
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
    escaped = path.name.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
