"""From the bytes of a request to a job request: JSON, or multipart with the files beside it."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import Any

import orjson
from aiohttp import BodyPartReader, web

from worker.api.convert import converted
from worker.api.errors import DIALECT, too_large
from worker.api.services import Services, base_url, services
from worker.dialects import detect
from worker.errors import ClientError, InvalidJson, UrlNeedsStorage
from worker.inputs import check_name
from worker.job import InputFile, JobRequest, OutputMode

MIB = 1024 * 1024
REQUEST_PART = "request"
REPEAT_KEY = "__repeat_key"
"""Field by which a platform marks requests that it repeats (`Traits.marks_repeats`)."""


async def read_job(request: web.Request) -> JobRequest:
    """What the client asks for. Remembers the dialect, so that errors are told in it.

    Raises ClientError and its children.
    """
    try:
        multipart = request.content_type == "multipart/form-data"
        body, files = await _multipart(request) if multipart else (await read_body(request), ())
    except ValueError as error:
        raise ClientError(f"the multipart body can't be read: {error}") from None
    parsed = parse_object(body)
    repeat_key = _repeat_key(request, parsed)
    dialect = request[DIALECT] = detect(parsed)
    job = dialect.read(parsed, services(request).library)
    job = reachable(services(request), await converted(services(request), job))
    key = job.key or request.headers.get("Idempotency-Key")
    fingerprint = _fingerprint(parsed, files) if key else ""
    files = (*job.inputs, *files)
    return replace(
        job,
        inputs=files,
        key=key,
        repeat_key=None if key else repeat_key,
        fingerprint=fingerprint,
        base_url=base_url(request),
    )


def _repeat_key(request: web.Request, parsed: dict[str, Any]) -> str | None:
    """Taken out of the body, where the platform in front of this gateway has put it."""
    key = parsed.pop(REPEAT_KEY, None) if services(request).traits.marks_repeats else None
    return key if isinstance(key, str) else None


async def read_body(request: web.Request) -> bytes:
    """Raises ClientError where it is not encoded as its headers say."""
    try:
        return await request.read()
    except web.RequestPayloadError as error:
        raise ClientError("the body is not encoded as Content-Encoding and Transfer-Encoding say") from error


def reachable(found: Services, job: JobRequest) -> JobRequest:
    """With its outputs in a place where the client can have them.

    Raises UrlNeedsStorage, TargetNotAllowed, UrlRefused.
    """
    found.delivery.check(job)
    outside = found.delivery.storage.outside
    if job.output_mode is OutputMode.NONE and outside:
        return replace(job, output_mode=OutputMode.URL)  # as the stock template does where a bucket is configured
    if job.output_mode is OutputMode.AUTO:
        return replace(job, output_mode=OutputMode.URL if outside else OutputMode.BASE64)
    opens = outside or found.traits.output_urls
    if job.output_mode is OutputMode.URL and job.target is None and not opens:
        raise UrlNeedsStorage(
            "no client can open this worker's URLs, and it has no bucket (WORKER_S3_BUCKET); ask for base64"
        )
    return job


def _fingerprint(body: dict[str, Any], files: tuple[InputFile, ...]) -> str:
    """Tells a request that is sent again from another one under the same key, however it is written."""
    digest = hashlib.sha256(orjson.dumps(body, option=orjson.OPT_SORT_KEYS))
    for file in files:
        digest.update(file.data)
    return digest.hexdigest()


def parse_object(body: bytes) -> dict[str, Any]:
    """Raises InvalidJson for anything but a JSON object."""
    try:
        parsed = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise InvalidJson(f"the body is not JSON: {error}") from None
    if not isinstance(parsed, dict):
        raise InvalidJson(f"the body has to be a JSON object, not {type(parsed).__name__}")
    return parsed


async def _multipart(request: web.Request) -> tuple[bytes, tuple[InputFile, ...]]:
    """The part `request` is the JSON body; every other part is a file, by its own name."""
    left = services(request).settings.max_body * MIB
    body: bytes | None = None
    files: list[InputFile] = []
    async for part in await request.multipart():
        if not isinstance(part, BodyPartReader) or not part.name:
            raise ClientError("every part of a multipart body needs a name, and none may have parts of its own")
        data = bytearray()
        while chunk := await part.read_chunk(MIB):
            data += chunk
            left -= len(chunk)
            if left < 0:
                raise too_large(services(request).settings.max_body)
        if part.name == REQUEST_PART:
            body = bytes(data)
        else:
            check_name(part.name)
            files.append(InputFile(part.name, bytes(data)))
    if body is None:
        raise ClientError(f"a multipart body needs the part {REQUEST_PART!r}: the JSON of the request")
    return body, tuple(files)
