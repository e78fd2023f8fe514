"""`GET /view`: the caller's outputs and uploads."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from aiohttp import ETag, hdrs, web

from worker.api.comfy.callers import scope_of
from worker.api.comfy.client_prompts import Scope
from worker.api.comfy.rendering import Rendering, render
from worker.api.responses import LARGEST_ON_LOOP, content_disposition
from worker.api.services import SAFE_HEADERS, Services, services_of
from worker.engine.protocol.api import FileRef
from worker.inputs.file_inputs import ANNOTATED
from worker.outputs.kinds import mime_of
from worker.storage.active_content import disposition

CONDITIONS = frozenset(
    {
        hdrs.RANGE,
        hdrs.IF_RANGE,
        hdrs.IF_MATCH,
        hdrs.IF_NONE_MATCH,
        hdrs.IF_MODIFIED_SINCE,
        hdrs.IF_UNMODIFIED_SINCE,
    }
)
"""Headers of requests for a part of a file, or for a file that has changed."""
TYPES = frozenset({"output", "input", "temp"})
"""ComfyUI's folders."""


async def view(request: web.Request) -> web.StreamResponse:
    """Handle `GET /view`: send a file of the caller, or an image in another format. Statuses are ComfyUI's."""
    scope, services = scope_of(request), services_of(request)
    ref = read_ref(request.query)
    if isinstance(ref, int):
        return web.Response(status=ref)
    path = await find_file(services, scope, ref)
    if path is None or not path.is_file():
        return web.Response(status=404)
    rendering = Rendering.read(request.query)
    name = ref.filename
    if rendering is not None:
        image = await render(path, rendering)
        return web.Response(body=image.data, headers=_headers(name, image.mime))
    headers = _headers(name, mime_of(name))
    if path.stat().st_size > LARGEST_ON_LOOP or not CONDITIONS.isdisjoint(request.headers):
        return web.FileResponse(path, headers=headers)
    return _small_file(path, headers)


def _small_file(path: Path, headers: Mapping[str, str]) -> web.Response:
    """Return the response that `FileResponse` sends to a request without conditions, but without its thread."""
    status, data = path.stat(), path.read_bytes()
    response = web.Response(body=data, headers={**headers, hdrs.ACCEPT_RANGES: "bytes"})
    response.last_modified = status.st_mtime
    response.etag = ETag(f"{status.st_mtime_ns:x}-{status.st_size:x}")
    return response


async def find_file(services: Services, scope: Scope, ref: FileRef) -> Path | None:
    """Return the path of a caller's file, or None. An output that a node has just reported is waited for."""
    upload = services.comfy.uploads.find(scope, ref)
    if upload is not None:
        return upload.path
    prompt = services.comfy.prompts.of(scope).by_file.get(ref)
    output = await prompt.stored_output(ref) if prompt is not None else None
    return services.outputs.path(prompt.job, output) if prompt is not None and output is not None else None


def read_ref(query: Mapping[str, str]) -> FileRef | int:
    """Return the file that a query names, or ComfyUI's status for a query that names none."""
    name, folder, subfolder = query.get("filename"), query.get("type", "output"), query.get("subfolder", "")
    if name is None:
        return 404
    annotated = ANNOTATED.fullmatch(name)
    if annotated:
        name, folder = annotated["name"], annotated["folder"]
    if not name or name.startswith("/") or ".." in name or folder not in TYPES:
        return 400
    if is_outside(subfolder):
        return 403
    path = PurePosixPath(name)
    return FileRef(path.name, subfolder, folder) if path.name and "\x00" not in name else 404


def is_outside(subfolder: str) -> bool:
    """Return whether a subfolder leads out of its folder."""
    parts = subfolder.replace("\\", "/").split("/")
    return subfolder.startswith(("/", "\\")) or ".." in parts or "\x00" in subfolder or ":" in parts[0]


def _headers(name: str, mime: str) -> dict[str, str]:
    """Return the headers of a file. Browsers do not run it as a page."""
    return {
        **SAFE_HEADERS,
        hdrs.CONTENT_TYPE: mime,
        hdrs.CONTENT_DISPOSITION: content_disposition(name, disposition(mime)),
    }
