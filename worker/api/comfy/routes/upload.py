"""`POST /upload/image` and `/upload/mask`: files of the caller for its later prompts."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from functools import partial
from hashlib import file_digest
from pathlib import Path, PurePosixPath

from aiohttp import BodyPartReader, web

from worker.api.comfy.callers import scope_of
from worker.api.comfy.client_prompts import Scope, file_ref
from worker.api.comfy.rendering import with_mask
from worker.api.comfy.routes.view import TYPES, find_file, is_outside
from worker.api.edge.form_parts import multipart_errors_as_client_errors
from worker.api.request_body import part_name
from worker.api.services import Services, json_response, services_of
from worker.bodies import SpooledFile, SpoolFolder, in_thread, parse_json, spool_file
from worker.connections import mark_authenticated
from worker.engine.protocol.api import FileRef
from worker.errors import ClientError, InvalidField, NotFound

MIB = 1024 * 1024
IMAGE = "image"
LONGEST_FIELD = 64 * 1024


@dataclass(slots=True)
class UploadForm:
    """The parts of the form: the file with its name, and the text fields."""

    file: SpooledFile | None = None
    filename: str = ""
    fields: dict[str, str] = field(default_factory=dict)

    @property
    def overwrite(self) -> bool:
        """Whether the file replaces one of the same name."""
        return self.fields.get("overwrite") in {"true", "1"}

    def ref(self) -> FileRef:
        """Return the wanted name. Raises InvalidField."""
        folder, subfolder = self.fields.get("type") or "input", self.fields.get("subfolder", "")
        name = PurePosixPath(self.filename.replace("\\", "/").lstrip("/"))
        if folder not in TYPES:
            raise InvalidField(f"'type' is {folder[:40]!r}: use input, temp or output")
        if is_outside(subfolder) or ".." in name.parts or not name.name or "\x00" in self.filename:
            raise InvalidField("'filename' or 'subfolder' leads out of the folder: leave out `..` and a leading slash")
        parent = "" if name.parent.as_posix() == "." else name.parent.as_posix()
        return FileRef(name.name, "/".join(filter(None, (subfolder.strip("/"), parent))), folder)


async def upload_image(request: web.Request) -> web.Response:
    """Handle `POST /upload/image`: keep a file for the caller's prompts, and return its name."""
    services, scope = services_of(request), scope_of(request)
    services.manager.admit()
    async with SpoolFolder(services.intake.spool) as folder:
        form, file = await _read_form(request, folder)
        return await _stored(request, services, scope, form, file)


async def upload_mask(request: web.Request) -> web.Response:
    """Handle `POST /upload/mask`: keep an image with the colours of `original_ref` and the alpha of the upload."""
    services, scope = services_of(request), scope_of(request)
    services.manager.admit()
    async with SpoolFolder(services.intake.spool) as folder:
        form, file = await _read_form(request, folder)
        original = await _original(services, scope, form.fields.get("original_ref", ""))
        target = await in_thread(folder.new_path)
        await with_mask(original, file.path, target)
        size, digest = await in_thread(partial(_facts, target))
        return await _stored(request, services, scope, form, SpooledFile(target, size, digest))


async def _stored(
    request: web.Request, services: Services, scope: Scope, form: UploadForm, file: SpooledFile
) -> web.Response:
    """Keep a file, and return the response with its name."""
    ref = await services.comfy.uploads.store(scope, form.ref(), file, overwrite=form.overwrite)
    mark_authenticated(request)
    return json_response({"name": ref.filename, "subfolder": ref.subfolder, "type": ref.folder})


async def _original(services: Services, scope: Scope, text: str) -> Path:
    """Return the file of the caller that `original_ref` names. Raises InvalidField and NotFound."""
    value = parse_json(text.encode()) if text else None
    ref = file_ref(value)
    if ref is None:
        raise InvalidField("'original_ref' must be JSON with the filename, subfolder and type of an image of yours")
    path = await find_file(services, scope, ref)
    if path is None:
        raise NotFound(f"you have no file {ref.filename!r} of the type {ref.folder!r}")
    return path


async def _read_form(request: web.Request, folder: SpoolFolder) -> tuple[UploadForm, SpooledFile]:
    """Return the parts of a form, and its file. Raises ClientError or a subclass."""
    if request.content_type != "multipart/form-data":
        raise ClientError("the body must be multipart/form-data with the file in the part 'image'")
    form, size, limits = UploadForm(), 0, services_of(request).intake.limits

    async def chunks(part: BodyPartReader) -> AsyncIterator[bytes]:
        """Yield the data of a part, and check the total size."""
        nonlocal size
        while chunk := await part.read_chunk(MIB):
            size += len(chunk)
            limits.check_total(size)
            yield chunk

    with multipart_errors_as_client_errors():
        async for part in await request.multipart():
            if not isinstance(part, BodyPartReader) or not part.name:
                raise ClientError("every part of a multipart body needs a name, and parts cannot be nested")
            if part.name == IMAGE and part.filename:
                form.file, form.filename = await spool_file(chunks(part), folder), part_name(part.filename)
            else:
                form.fields[part.name] = await _text(chunks(part), part.name)
    if form.file is None:
        raise ClientError("the form has no file in the part 'image'")
    return form, form.file


async def _text(chunks: AsyncIterator[bytes], name: str) -> str:
    """Return the text of a field. Raises ClientError if it is too long."""
    text = bytearray()
    async for chunk in chunks:
        text += chunk
        if len(text) > LONGEST_FIELD:
            raise ClientError(f"the part {name!r} is too long for a field of the form")
    return text.decode(errors="replace")


def _facts(path: Path) -> tuple[int, str]:
    """Return size and sha256 of a file. Blocks."""
    with path.open("rb") as file:
        return path.stat().st_size, file_digest(file, "sha256").hexdigest()
