"""From the bytes of an HTTP request to a body that intake reads: JSON, or multipart with the files beside it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import orjson
from aiohttp import BodyPartReader, web
from pydantic import SecretStr

from worker.api.errors import DIALECT
from worker.api.services import base_url, services
from worker.bodies import BodyLimits, ScannedBody, SpoolFolder, read_json, spool_file
from worker.errors import ClientError, InvalidField, InvalidJson
from worker.inputs import FormFile, SentFile, read_form
from worker.intake import Caller
from worker.intake.intake import dialect_of

MIB = 1024 * 1024
REQUEST_PART = "request"
API_KEY_HEADER = "X-Comfy-Org-Api-Key"
_FLAGS = {"true": True, "1": True, "": True, "false": False, "0": False}
Received = tuple[ScannedBody, tuple[SentFile, ...]]


@asynccontextmanager
async def received(request: web.Request) -> AsyncIterator[Received]:
    """Read the body, and the files that came beside it; they are there until the context ends.

    The dialect is remembered, so that errors are told in it. Raises ClientError and its children.
    """
    intake = services(request).intake
    files: tuple[SentFile, ...] = ()
    async with AsyncExitStack() as stack:
        try:
            if request.content_type == "multipart/form-data":
                folder = await stack.enter_async_context(SpoolFolder(intake.spool))
                body, files = await _multipart(request, folder, intake.limits)
            else:
                body = await stack.enter_async_context(intake.body(request.content.iter_any()))
        except web.RequestPayloadError as error:
            raise _not_encoded() from error
        request[DIALECT] = dialect_of(body.value)
        yield body, files


def caller_of(request: web.Request, principal: str, *, collectable: bool = False) -> Caller:
    """Return what the headers say about a caller that was let in."""
    key = request.headers.get("Idempotency-Key")
    return Caller(
        principal,
        base_url(request, services(request)),
        key,
        collectable=collectable,
        api_key=api_key_of(request),
        strict=strict_of(request),
    )


def strict_of(request: web.Request) -> bool:
    """Return whether the query asks for no repairs: `?strict=true`. Raises InvalidField."""
    value = request.query.get("strict", "false").lower()
    if value not in _FLAGS:
        raise InvalidField(f"the query's strict={value[:80]!r} is neither true nor false")
    return _FLAGS[value]


def api_key_of(request: web.Request) -> SecretStr | None:
    """Return the comfy.org key of the headers, None where there is none."""
    key = request.headers.get(API_KEY_HEADER, "").strip()
    return SecretStr(key) if key else None


async def _multipart(request: web.Request, folder: SpoolFolder, limits: BodyLimits) -> Received:
    """The part `request` is the JSON body; every other part is a file."""
    size = 0

    async def chunks(part: BodyPartReader) -> AsyncIterator[bytes]:
        nonlocal size
        while chunk := await part.read_chunk(MIB):
            size += len(chunk)
            limits.check_total(size)
            yield chunk

    body: ScannedBody | None = None
    files: list[FormFile] = []
    try:
        async for part in await request.multipart():
            if not isinstance(part, BodyPartReader) or not part.name:
                raise ClientError("every part of a multipart body needs a name, and none may have parts of its own")
            if part.name == REQUEST_PART:
                body = await read_json(chunks(part), folder, limits)
            else:
                files.append(FormFile(part.name, part.filename, await spool_file(chunks(part), folder)))
    except ValueError as error:
        raise ClientError(f"the multipart body can't be read: {error}") from None
    if body is None:
        raise ClientError(f"a multipart body needs the part {REQUEST_PART!r}: the JSON of the request")
    return body, read_form(files)


async def read_small_object(request: web.Request) -> dict[str, Any] | None:
    """Read a JSON object that has no files; None where there is no body. Raises ClientError and its children."""
    try:
        json = await request.read()
        value = orjson.loads(json) if json else None
    except web.RequestPayloadError as error:
        raise _not_encoded() from error
    except orjson.JSONDecodeError as error:
        raise InvalidJson(f"the body is not JSON: {error}") from None
    if value is not None and not isinstance(value, dict):
        raise InvalidJson(f"the body has to be a JSON object, not {type(value).__name__}")
    return value


def _not_encoded() -> ClientError:
    return ClientError("the body is not encoded as Content-Encoding and Transfer-Encoding say")
