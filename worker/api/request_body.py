"""Reads the body of an HTTP request: JSON, or multipart with files beside the JSON."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from email.errors import MessageError
from email.header import decode_header, make_header
from pathlib import Path
from typing import Any

from aiohttp import BodyPartReader, web
from pydantic import SecretStr

from worker.api.edge.form_body import FORM, form_chunks
from worker.api.edge.form_parts import multipart_errors_as_client_errors
from worker.api.errors import DIALECT
from worker.api.services import base_url, services_of
from worker.bodies import (
    BodyLimits,
    ScannedBody,
    SpoolFolder,
    open_json,
    parse_json,
    read_json,
    spool_file,
    utf8_text,
)
from worker.errors import ClientError, InvalidField, InvalidJson
from worker.inputs import FormFile, SentFile, read_form
from worker.intake import Caller, normalize_body
from worker.intake.intake import dialect_of

MIB = 1024 * 1024
REQUEST_PART = "request"
WORKFLOW_PARTS = frozenset({"workflow", "prompt"})
JSON_PARTS = {REQUEST_PART, *WORKFLOW_PARTS}
FIELD_PARTS = frozenset(
    {
        *("template", "params", "inputs", "output_format", "output", "webhook", "s3", "put_urls", "timeout_s", "id"),
        *("deliver_models", "strict", "keep_seeds", "extra_data", "client_id", "prompt_id"),
    }
)
"""Parts without a filename that are fields of the request, as in `curl -F output_format=url`."""
LONGEST_FIELD = 64 * 1024
API_KEY_HEADER = "X-Comfy-Org-Api-Key"
_BOOLEANS = {"true": True, "1": True, "": True, "false": False, "0": False}
BodyAndFiles = tuple[ScannedBody, tuple[SentFile, ...]]


@asynccontextmanager
async def receive_body(request: web.Request) -> AsyncIterator[BodyAndFiles]:
    """Yield the body of a request and the files beside it. They exist until the context ends.

    The dialect is stored in the request, so that errors use it, unless the route has stored one already. Raises
    ClientError or a subclass.
    """
    intake = services_of(request).intake
    async with open_body(request, request.content.iter_any(), intake.spool, intake.limits) as (body, files):
        request[DIALECT] = request.get(DIALECT) or dialect_of(body.value)
        yield body, files


@asynccontextmanager
async def open_body(
    request: web.Request, chunks: AsyncIterator[bytes], spool: Path, limits: BodyLimits
) -> AsyncIterator[BodyAndFiles]:
    """Yield the body of a request, normalized, and the files beside it. They exist until the context ends.

    `chunks` are those of the request, which a multipart body does not use. Raises ClientError or a subclass.
    """
    files: tuple[SentFile, ...] = ()
    async with AsyncExitStack() as stack:
        try:
            if request.content_type.startswith("multipart/"):
                folder = await stack.enter_async_context(SpoolFolder(spool))
                body, files = await _read_multipart(request, folder, limits)
            else:
                if request.content_type == FORM:
                    chunks = form_chunks(chunks, limits)
                body = await stack.enter_async_context(open_json(chunks, spool, limits, request.charset or ""))
                await normalize_body(body)
        except web.RequestPayloadError as error:
            raise encoding_error() from error
        yield body, files


def caller_of(request: web.Request, principal: str, *, collectable: bool = False) -> Caller:
    """Return the caller with the options in its headers and query. `principal` is its authenticated name."""
    return Caller(
        principal,
        base_url(request, services_of(request)),
        idempotency_key=request.headers.get("Idempotency-Key"),
        collectable=collectable,
        api_key=api_key_of(request),
        strict=strict_of(request),
    )


def strict_of(request: web.Request) -> bool:
    """Return whether the query has `?strict=true`. Raises InvalidField."""
    value = request.query.get("strict", "false").lower()
    if value not in _BOOLEANS:
        raise InvalidField(f"the query parameter strict={value[:80]!r} is neither true nor false")
    return _BOOLEANS[value]


def api_key_of(request: web.Request) -> SecretStr | None:
    """Return the comfy.org key in the headers, or None."""
    key = request.headers.get(API_KEY_HEADER, "").strip()
    return SecretStr(key) if key else None


async def _read_multipart(request: web.Request, folder: SpoolFolder, limits: BodyLimits) -> BodyAndFiles:
    """Read a multipart body. Return its JSON and its files.

    The part `request` is the JSON, `workflow` the workflow, and every other part a field or a file.
    """
    size = 0

    async def chunks(part: BodyPartReader) -> AsyncIterator[bytes]:
        """Yield the data of a part, and check the total size."""
        nonlocal size
        while chunk := await part.read_chunk(MIB):
            size += len(chunk)
            limits.check_total(size)
            yield chunk

    parts: dict[str, ScannedBody] = {}
    fields: dict[str, Any] = {}
    files: list[FormFile] = []
    with multipart_errors_as_client_errors():
        async for part in await request.multipart():
            if not isinstance(part, BodyPartReader) or not part.name:
                raise ClientError("every part of a multipart body needs a name, and parts cannot be nested")
            if part.name in JSON_PARTS:
                parts[part.name] = await read_json(chunks(part), folder, limits, part.get_charset(""))
            elif part.name in FIELD_PARTS and not part.filename:
                fields[part.name] = await _read_field(part.name, chunks(part))
            else:
                name, filename = part_name(part.name), part.filename
                file = await spool_file(chunks(part), folder)
                files.append(FormFile(name, part_name(filename) if filename else None, file))
    return await _join_parts(parts, fields, ScannedBody({}, [], limits, folder)), read_form(files)


async def _read_field(name: str, chunks: AsyncIterator[bytes]) -> str | bool:
    """Return the text of a part that is a field, or its boolean value."""
    text = bytearray()
    async for chunk in chunks:
        text += chunk
        if len(text) > LONGEST_FIELD:
            raise ClientError(f"the part {name!r} is too long for a field of the request")
    value = text.decode().strip()
    return value.lower() == "true" if value.lower() in {"true", "false"} else value


async def _join_parts(parts: dict[str, ScannedBody], fields: dict[str, Any], empty: ScannedBody) -> ScannedBody:
    """Combine the JSON parts and the fields to one body. Raises ClientError.

    `empty` is a body without fields. It is used if there is no part `request`.
    """
    body = parts.get(REQUEST_PART)
    if body is not None:
        await normalize_body(body)  # so that it is an object to which the other parts can be added
    for name in WORKFLOW_PARTS & parts.keys():
        body = body or empty
        _check_field_absent(name, body)
        body.graft((name,), parts[name])
    for name, value in fields.items():
        body = body or empty
        _check_field_absent(name, body)
        body.value[name] = value
    if body is None:
        raise ClientError(
            f"a multipart body needs the part {REQUEST_PART!r}, the JSON of the request, or the part 'workflow'"
        )
    await normalize_body(body)  # again, because the parts may have forms of other tools as well
    return body


def _check_field_absent(name: str, body: ScannedBody) -> None:
    """Raise ClientError if the body already has this field, or is not an object."""
    if not isinstance(body.value, dict) or name in body.value:
        raise ClientError(f"the part {name!r} is also in the part {REQUEST_PART!r}: leave one of them out")


def part_name(name: str) -> str:
    """Return the name of a part in Unicode.

    .NET encodes names beyond ASCII as mail does (`=?utf-8?B?...?=`). Some tools use the code page of their machine, so
    bytes that are not UTF-8 are read as Windows-1252.
    """
    if name.startswith("=?") and name.endswith("?="):
        with suppress(MessageError, ValueError, LookupError):  # a name that only looks encoded
            return str(make_header(decode_header(name)))
    try:
        name.encode()
    except UnicodeEncodeError:
        return name.encode("utf-8", "surrogateescape").decode("cp1252", "replace")
    return name


async def read_small_object(request: web.Request) -> dict[str, Any] | None:
    """Return the JSON object in a small body, or None for an empty body. Raises ClientError or a subclass."""
    try:
        json = utf8_text(await request.read(), request.charset or "")
    except web.RequestPayloadError as error:
        raise encoding_error() from error
    value = parse_json(json) if json.strip() else None
    if value is not None and not isinstance(value, dict):
        raise InvalidJson(f"the body must be a JSON object, not {type(value).__name__}")
    return value


def encoding_error() -> ClientError:
    """Return the error for a body that cannot be decoded."""
    return ClientError("the body does not match its Content-Encoding or Transfer-Encoding")
