"""Routes for uploads: POST /upload/image, which accepts any file, and POST /upload/mask."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path, PurePosixPath
from typing import IO

import orjson
from aiohttp import web
from aiohttp.web_request import FileField

from worker.simulators.comfyui.engine import ENGINE
from worker.simulators.comfyui.folders import ComfyFolders, OutsideFolder, inside
from worker.simulators.comfyui.routes.view import FileNotServed, resolve_file
from worker.simulators.comfyui.server.responses import ServerFailure, empty_response, fail_request, json_response

Save = Callable[[IO[bytes], Path], None]
CHUNK_BYTES = 1024 * 1024
Form = Mapping[str, str | bytes | bytearray | FileField]


@dataclass(frozen=True, slots=True)
class Upload:
    """One uploaded file. The response contains `subfolder` as it was sent."""

    file: IO[bytes]
    filename: str
    type: str
    subfolder: str
    overwrite: bool


def routes() -> list[web.RouteDef]:
    return [web.post("/upload/image", upload_image), web.post("/upload/mask", upload_mask)]


async def upload_image(request: web.Request) -> web.Response:
    """Store the uploaded file unchanged."""
    return _store(request.app[ENGINE].folders, await request.post(), _copy)


async def upload_mask(request: web.Request) -> web.Response:
    """Store the image that `original_ref` names, with the alpha channel of the uploaded one."""
    folders = request.app[ENGINE].folders
    form = await request.post()
    return _store(folders, form, lambda file, path: _merge_alpha(folders, form.get("original_ref"), file, path))


def _store(folders: ComfyFolders, form: Form, save: Save) -> web.Response:
    """Write the uploaded file with `save`, and return its final name. An identical file is not written again."""
    upload = _read_form(form)
    if upload is None:
        return empty_response(400)
    try:
        base = folders.path(upload.type)
        path = inside(base, upload.subfolder, upload.filename)
        inside(base, upload.subfolder).mkdir(parents=True, exist_ok=True)
    except KeyError:
        fail_request("the field 'type' is not input, output or temp")
    except OutsideFolder:
        return empty_response(400)
    is_stored_already = False
    if not upload.overwrite:
        path, is_stored_already = _free_name(path, upload.file)
    if not is_stored_already:
        try:
            save(upload.file, path)
        except OSError as error:
            raise ServerFailure("the file cannot be written") from error
    name = str(PurePosixPath(upload.filename).with_name(path.name))
    return json_response({"name": name, "subfolder": upload.subfolder, "type": upload.type})


def _read_form(form: Form) -> Upload | None:
    """Return the fields of the form, or None when it has no field `image`."""
    file = form.get("image")
    if file is None or file == "":
        return None
    if not isinstance(file, FileField):
        fail_request("the field 'image' is not a file")
    return Upload(
        file=file.file,
        filename=file.filename,
        type=_text(form, "type") or "input",
        subfolder=_text(form, "subfolder"),
        overwrite=_text(form, "overwrite") in ("true", "1"),
    )


def _text(form: Form, name: str) -> str:
    """Return a text field of the form, or an empty string."""
    value = form.get(name, "")
    return value if isinstance(value, str) else ""


def _free_name(path: Path, file: IO[bytes]) -> tuple[Path, bool]:
    """Return the first of `name.ext`, `name (1).ext`, ... that is free or has the same content.

    The second value is True when the file exists with the same content.
    """
    digest = _digest(file)
    candidate = path
    number = 0
    while candidate.exists():
        with candidate.open("rb") as existing:
            if _digest(existing) == digest:
                return candidate, True
        number += 1
        candidate = path.with_name(f"{path.stem} ({number}){path.suffix}")
    return candidate, False


def _digest(file: IO[bytes]) -> bytes:
    """Return the SHA-256 of the file, and rewind it."""
    file.seek(0)
    digest = sha256()
    while chunk := file.read(CHUNK_BYTES):
        digest.update(chunk)
    file.seek(0)
    return digest.digest()


def _copy(file: IO[bytes], path: Path) -> None:
    """Write the uploaded file unchanged."""
    with path.open("wb") as target:
        shutil.copyfileobj(file, target)


def _merge_alpha(folders: ComfyFolders, reference: object, file: IO[bytes], path: Path) -> None:
    """Write the colours and text chunks of the original with the alpha channel of the upload.

    `reference` is JSON that names the original. Nothing is written when the original does not exist.
    """
    from PIL import Image
    from PIL.PngImagePlugin import PngInfo

    try:
        query = orjson.loads(reference) if isinstance(reference, str) else None
    except orjson.JSONDecodeError as error:
        raise ServerFailure("original_ref is not JSON") from error
    if not isinstance(query, dict):
        fail_request("original_ref is not an object")
    try:
        original_path = resolve_file(folders, {key: str(value) for key, value in query.items()})
    except FileNotServed:
        return
    with Image.open(original_path) as original, Image.open(file) as painted:
        texts = PngInfo()
        for key, text in original.info.items():
            if isinstance(key, str) and isinstance(text, str):
                texts.add_text(key, text)
        merged = original.convert("RGBA")
        merged.putalpha(painted.convert("RGBA").getchannel("A"))
        merged.save(path, compress_level=4, pnginfo=texts)
