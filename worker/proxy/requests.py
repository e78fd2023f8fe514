"""Reads a request: its body as it is sent to a backend, and the facts that the proxy needs."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import orjson
from aiohttp import web

from worker.api.edge.form_body import FORM
from worker.api.errors import DIALECT
from worker.api.request_body import API_KEY_HEADER, encoding_error, open_body, strict_of
from worker.bodies import BodyLimits, ScannedBody, SpooledFile, in_thread, open_json, parse_json
from worker.dialects import detect
from worker.errors import CannotConvert, ClientError, InvalidJson, PromptError
from worker.inputs import SentFile
from worker.inputs.form_files import with_filenames
from worker.intake import normalize_body
from worker.intake.fingerprints import fingerprints
from worker.intake.request_cost import prompt_in
from worker.proxy.job import RequestFacts
from worker.workflow.catalog.catalog import bundled_catalog
from worker.workflow.prompt import Prompt

PASSED_ON = (API_KEY_HEADER,)
"""Headers of a request that belong to its job."""
JOB_ID_FIELDS: Mapping[str, tuple[str, ...]] = {
    "native": ("id", "prompt_id"),
    "vast": ("request_id",),
    "runpod": (),
}
"""Fields with the caller's id of the job, by dialect."""


@dataclass(frozen=True, slots=True)
class ReceivedRequest:
    """A request that was read. `json` is its body without an id. `own_id` is the caller's id, empty if it has none."""

    json: bytes = field(repr=False)
    facts: RequestFacts
    own_id: str
    fingerprint: str
    headers: Mapping[str, str] = field(repr=False)


async def receive(
    request: web.Request, spool: Path, limits: BodyLimits, check: Callable[[Mapping[str, Any]], None] | None = None
) -> ReceivedRequest:
    """Read a request for a job, in any form that a worker accepts. Raises ClientError or a subclass.

    `check` raises one for a body that the route does not accept. A route may have set the dialect of its responses.
    """
    copy = bytearray()

    async def chunks() -> AsyncIterator[bytes]:
        """Yield the body while it arrives, and keep a copy."""
        async for chunk in request.content.iter_any():
            copy.extend(chunk)
            yield chunk

    if _is_short(request, limits):
        try:
            copy += await request.read()
        except web.RequestPayloadError as error:
            raise encoding_error() from error
        if _is_plain(request, copy):
            body = ScannedBody(parse_json(bytes(copy)), [], limits)
            await normalize_body(body)
            return await _received(request, SentBody(body, (), copy), check)
        content = _pieces(bytes(copy))
    else:
        content = chunks()
    async with open_body(request, content, spool, limits) as (body, files):
        return await _received(request, SentBody(body, files, copy), check)


@dataclass(frozen=True, slots=True)
class SentBody:
    """A normalized body, the files beside it, and the bytes that were sent."""

    body: ScannedBody
    files: Sequence[SentFile]
    sent: bytearray = field(repr=False)


async def _received(
    request: web.Request, received: SentBody, check: Callable[[Mapping[str, Any]], None] | None
) -> ReceivedRequest:
    """Return the request with a body. Raises ClientError."""
    body, files, value = received.body, received.files, received.body.value
    if not isinstance(value, dict):
        raise InvalidJson(f"the body must be a JSON object, not {type(value).__name__}")
    request.setdefault(DIALECT, detect(value))
    if check is not None:
        check(value)
    facts, own_id = facts_of(value), job_id_of(value)
    own_id = own_id or request.headers.get("Idempotency-Key", "").strip()
    fingerprint = (await fingerprints(body, files, first_release=False)).newest if own_id else ""
    strict = strict_of(request)
    if _is_plain(request, received.sent) and not files and not strict and not must_rewrite(value, facts):
        json = bytes(received.sent)
    else:
        json = await _rewritten(body, files, facts, strict=strict)
    return ReceivedRequest(json, facts, own_id, fingerprint, _headers(request))


def _is_short(request: web.Request, limits: BodyLimits) -> bool:
    """Return whether a body is JSON that is too short to contain a long string."""
    length = request.content_length
    is_json = request.content_type != FORM and not request.content_type.startswith("multipart/")
    return is_json and length is not None and length <= min(limits.text, limits.total)


async def _pieces(body: bytes) -> AsyncIterator[bytes]:
    """Yield a body that was read."""
    yield body


async def receive_call(request: web.Request, handler: str, spool: Path, limits: BodyLimits) -> ReceivedRequest:
    """Read the arguments of a handler. The job is in the form of a call on platforms. Raises ClientError."""
    own_id = request.headers.get("Idempotency-Key", "").strip()
    chunks = request.content.iter_any() if request.body_exists else _no_arguments()
    async with open_json(chunks, spool, limits, request.charset or "") as body:
        fingerprint = body.fingerprint() if own_id else ""
        body.limits = replace(limits, max_restored=limits.total)
        await body.restore_texts()
        json = orjson.dumps({"input": {"handler": handler, "arguments": body.value}})
    return ReceivedRequest(json, RequestFacts(handler=handler), own_id, fingerprint, _headers(request))


async def _no_arguments() -> AsyncIterator[bytes]:
    """Yield the body of a call without arguments."""
    yield b"{}"


def facts_of(value: Mapping[str, Any]) -> RequestFacts:
    """Return the facts in a normalized body."""
    fields = value["input"] if isinstance(value.get("input"), Mapping) else value
    return RequestFacts(
        dialect=detect(value).name,
        template=_text(fields.get("template") or fields.get("modifier")),
        handler=_text(fields.get("handler")) if fields is not value else "",
        wants_urls=value.get("output_format") == "url" and not {"s3", "put_urls"} & value.keys(),
        webhook=bool(value.get("webhook") or fields.get("webhook")),
    )


def job_id_of(value: Mapping[str, Any]) -> str:
    """Return the caller's id of the job in a normalized body, or an empty string."""
    fields = value["input"] if isinstance(value.get("input"), Mapping) else value
    names = JOB_ID_FIELDS[detect(value).name]
    return next((_text(fields[name]) for name in names if fields.get(name)), "")


def must_rewrite(value: Mapping[str, Any], facts: RequestFacts) -> bool:
    """Return whether a body has to be changed before it is sent to a backend."""
    return facts.wants_urls or bool(job_id_of(value))


async def _rewritten(body: ScannedBody, files: Sequence[SentFile], facts: RequestFacts, *, strict: bool) -> bytes:
    """Return the JSON of a body without its id, with its files inline, with inline outputs, and `strict` in it."""
    body.limits = replace(body.limits, max_restored=body.limits.total)
    await body.restore_texts()
    value = dict(body.value)
    more = {"strict": True} if strict else {}
    if isinstance(value.get("input"), dict):
        value["input"] = _without(value["input"], JOB_ID_FIELDS[facts.dialect]) | more
    else:
        value = _without(value, JOB_ID_FIELDS[facts.dialect]) | more
    if facts.wants_urls:
        value["output_format"] = "base64"
    if any(file.aliases for file in files):
        files = await in_thread(
            lambda: with_filenames(files, value.get("inputs") or (), _prompt(value), bundled_catalog())
        )
    if files:
        value["inputs"] = {**value.get("inputs", {}), **{file.name: await _inline(file) for file in files}}
    return orjson.dumps(value)


def _named(files: Sequence[SentFile], value: Mapping[str, Any]) -> Sequence[SentFile]:
    """Return the files of a form under the names that the workflow uses. Raises InvalidInputFile."""
    return with_filenames(files, value.get("inputs") or (), _prompt(value), bundled_catalog())


def _prompt(value: Mapping[str, Any]) -> Prompt:
    """Return the prompt in a body, to find the names of its files. It is empty if the body has none that is valid."""
    fields = value["input"] if isinstance(value.get("input"), Mapping) else value
    workflow = fields.get("workflow") or fields.get("prompt") or fields.get("workflow_json")
    try:
        return prompt_in(workflow) if workflow else {}
    except (PromptError, CannotConvert, ClientError):
        return {}


def _without(fields: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
    """Return fields without those of these names."""
    return {name: value for name, value in fields.items() if name not in names}


async def _inline(file: SentFile) -> str:
    """Return the content of a file beside the body in base64."""
    content = file.content
    if isinstance(content, SpooledFile):
        content = await in_thread(content.path.read_bytes)
    if not isinstance(content, bytes):
        raise InvalidJson(f"the file {file.name!r} cannot be sent beside the body")
    return base64.b64encode(content).decode()


def _is_plain(request: web.Request, body: bytearray) -> bool:
    """Return whether the bytes of the body are a JSON object in UTF-8."""
    is_utf8 = (request.charset or "utf-8").lower() in {"utf-8", "utf8"}
    is_json = request.content_type != FORM and not request.content_type.startswith("multipart/")
    return is_utf8 and is_json and body[:64].lstrip()[:1] == b"{" and body.rstrip()[-1:] == b"}"


def _headers(request: web.Request) -> dict[str, str]:
    """Return the headers that belong to the job."""
    return {name: request.headers[name] for name in PASSED_ON if name in request.headers}


def _text(value: object) -> str:
    """Return a text, or an empty string for anything else."""
    return value if isinstance(value, str) else ""
