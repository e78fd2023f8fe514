"""Reads request bodies on Vast's port. The signature is checked before more than the head of a body is read."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace

from aiohttp import hdrs, web

from worker.bodies import BodyLimits, BodyReader, MemberSearch, ScannedBody, SpoolFolder
from worker.connections import mark_authenticated
from worker.errors import BadSignature, BodyTooLarge, ClientError, RequestTimeout, UnsupportedEncoding
from worker.platforms.vast.ingress.signature_check import (
    AuthData,
    Envelope,
    SignatureCheck,
    parse_auth_data,
    read_envelope,
)
from worker.platforms.vast.ingress.unsigned import HEAD, MAX_UNSIGNED, MIB, BodyMemory, UnsignedBodies

SHORT_HEAD = 4 * 1024
"""A head of up to this many bytes is searched at once, which takes microseconds."""
GROWTH = 1.5
"""The head is searched again when it has grown by this factor, so that a slowly arriving body costs no more."""
READ_AHEAD = 48 * 1024
"""Bytes of a body that aiohttp buffers until they are read."""
UNSIGNED_UNITS = 200_000
"""`BodyLimits.units` of an unsigned body: about 6 ms of parsing."""
TOO_LATE = (
    f"`auth_data` has to come first: it is not in the first {HEAD // 1024} KiB of the body, and a body without it "
    f"there can have at most {MAX_UNSIGNED // MIB} MiB"
)
AUTH_DATA = MemberSearch("auth_data")


@dataclass(frozen=True, slots=True)
class ReceivedBody:
    """A body that was read. `auth_data` is None when Vast has not signed it. `problem` is the reason in that case."""

    envelope: Envelope
    auth_data: AuthData | None
    problem: BadSignature | None = None


def check_uncompressed(request: web.BaseRequest) -> None:
    """Raise UnsupportedEncoding for a compressed body, before any of it is read."""
    encodings = ",".join(request.headers.getall(hdrs.CONTENT_ENCODING, ())).lower()
    if any(encoding.strip() not in {"", "identity"} for encoding in encodings.split(",")):
        raise UnsupportedEncoding(f"Content-Encoding {encodings[:80]!r}: bodies have to come uncompressed")


class EnvelopeReader:
    """Reads bodies whose sender is not known yet."""

    def __init__(self, check: SignatureCheck, limits: BodyLimits, timeout_s: float) -> None:
        """`timeout_s` is the time within which the signature has to arrive, or the whole body if it has none."""
        self._signature_check = check
        self._limits = limits
        self._timeout_s = timeout_s
        self._unsigned_bodies = UnsignedBodies()
        unsigned_limits = replace(limits, skeleton=MAX_UNSIGNED, units=UNSIGNED_UNITS, max_restored=MAX_UNSIGNED)
        if limits.total > MAX_UNSIGNED:
            unsigned_limits = replace(unsigned_limits, total=MAX_UNSIGNED, total_message=TOO_LATE)
        self._unsigned_limits = unsigned_limits

    async def read(self, request: web.Request, folder: SpoolFolder, *, must_be_signed: bool) -> ReceivedBody:
        """Read and return the body. Long strings are written to files in `folder`.

        With `must_be_signed`, a body without a valid signature is rejected with BadSignature as early as possible.
        Raises BodyTooLarge, InvalidJson, ClientError, RequestTimeout and DiskFull, too.
        """
        self._limits.check_total(request.content_length or 0)
        reader = BodyReader(request.content.iter_any(), request.charset or "")
        try:
            async with asyncio.timeout(self._timeout_s), self._unsigned_bodies.count(_abort(request)) as memory:
                auth_data, problem = await self._read_head(reader, memory)
                if auth_data is None and must_be_signed and problem is not None:
                    raise problem
                if auth_data is None:
                    received = await self._read_unsigned(request, reader, folder, memory)
                    if must_be_signed and received.problem is not None:
                        raise received.problem
                    return received
            mark_authenticated(request)
            envelope = read_envelope(await reader.read(folder, self._limits))
        except TimeoutError:
            raise RequestTimeout(f"the body did not arrive within {self._timeout_s:g} s") from None
        except web.RequestPayloadError as error:
            raise ClientError("the body is not encoded as Content-Encoding and Transfer-Encoding say") from error
        if envelope.auth_data != auth_data:
            raise BadSignature("the body has two different `auth_data`")
        return ReceivedBody(envelope, auth_data)

    async def _read_head(self, reader: BodyReader, memory: BodyMemory) -> tuple[AuthData | None, BadSignature | None]:
        """Read until `auth_data` is complete, but at most HEAD bytes, and check it.

        Return the signed data, or the reason why the signature is invalid. Both are None when the part that was read
        has no `auth_data`.
        """
        needed = 1  # number of bytes that have to be there before the next search
        while reader.size < HEAD and not reader.ended:
            text = await reader.head(min(needed, HEAD))
            self._unsigned_bodies.grow(memory, reader.size)
            if reader.ended:
                break
            if len(text) <= SHORT_HEAD:
                match = AUTH_DATA.find(text)
            else:
                async with self._unsigned_bodies.parse_lock:
                    match = AUTH_DATA.find(text[:HEAD])
            if match is not None:
                return self._verified(parse_auth_data(match[0]))
            needed = len(text) + 1 if len(text) <= SHORT_HEAD else int(len(text) * GROWTH)
        return None, None

    async def _read_unsigned(
        self, request: web.Request, reader: BodyReader, folder: SpoolFolder, memory: BodyMemory
    ) -> ReceivedBody:
        """Read a body whose first HEAD bytes have no `auth_data`, within the limits for unsigned bodies."""
        limits = self._unsigned_limits
        if reader.ended:
            async with self._unsigned_bodies.parse_lock:
                return self._check_body(request, await reader.read(folder, limits))
        if (request.content_length or 0) > limits.total:
            raise BodyTooLarge(TOO_LATE)
        self._unsigned_bodies.grow(memory, reader.size + READ_AHEAD)
        async with self._unsigned_bodies.read_slots:
            self._unsigned_bodies.grow(memory, MAX_UNSIGNED + READ_AHEAD)
            return self._check_body(request, await reader.read(folder, limits))

    def _check_body(self, request: web.Request, body: ScannedBody) -> ReceivedBody:
        """Check the signature in a body that was read as a whole."""
        envelope = read_envelope(body)
        auth_data, problem = self._verified(envelope.auth_data)
        if auth_data is not None:
            mark_authenticated(request)
        return ReceivedBody(envelope, auth_data, problem)

    def _verified(self, auth_data: AuthData | None) -> tuple[AuthData | None, BadSignature | None]:
        """Return the data and None if the signature is valid, or else None and the reason."""
        try:
            return self._signature_check.check(auth_data), None
        except BadSignature as problem:
            return None, problem


def _abort(request: web.Request) -> Callable[[], None]:
    """Return a function that closes the connection of a request at once."""

    def abort() -> None:
        if request.transport is not None:
            request.transport.abort()

    return abort
