"""Reads the body of a request on Vast's port: the signature first, and only then as much as a client may send."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace

from aiohttp import hdrs, web

from worker.bodies import BodyLimits, BodyReader, MemberSearch, ScannedBody, SpoolFolder
from worker.connections import mark_authenticated
from worker.errors import BadSignature, BodyTooLarge, ClientError, RequestTimeout, UnsupportedEncoding
from worker.platforms.vast.ingress.signature_check import Envelope, Grant, SignatureCheck, grant_of, read_envelope
from worker.platforms.vast.ingress.unsigned import HEAD, LARGEST, MIB, Share, UnsignedBodies

FIRST = 4 * 1024
"""A head up to this size is searched at once; it takes microseconds."""
GROWTH = 1.5
"""The head is searched again when it has grown by this factor, so that a body in single bytes costs no more."""
BEHIND = 48 * 1024
"""Bytes that aiohttp holds of a body that is not read on."""
UNSIGNED_UNITS = 200_000
"""As in BodyLimits: about 6 ms of parsing."""
LAST = (
    f"`auth_data` has to come first: it is not in the first {HEAD // 1024} KiB of the body, and a body without it "
    f"there may have {LARGEST // MIB} MiB at most"
)
AUTH_DATA = MemberSearch("auth_data")


@dataclass(frozen=True, slots=True)
class Received:
    """A body that was read. `grant` is None where Vast has not signed it, and `problem` says why."""

    envelope: Envelope
    grant: Grant | None
    problem: BadSignature | None = None


def check_uncompressed(request: web.BaseRequest) -> None:
    """Raise UnsupportedEncoding for a body that would grow. Nothing of it is read."""
    given = ",".join(request.headers.getall(hdrs.CONTENT_ENCODING, ())).lower()
    if any(part.strip() not in {"", "identity"} for part in given.split(",")):
        raise UnsupportedEncoding(f"Content-Encoding {given[:80]!r}: bodies have to come uncompressed")


class EnvelopeReader:
    """Reads bodies of which nobody knows yet who has sent them."""

    def __init__(self, check: SignatureCheck, limits: BodyLimits, timeout_s: float) -> None:
        """A body has to show its signature within `timeout_s`; without one it has to end within it."""
        self._check = check
        self._limits = limits
        self._timeout_s = timeout_s
        self._unsigned = UnsignedBodies()
        unsigned = replace(limits, skeleton=LARGEST, units=UNSIGNED_UNITS, restored=LARGEST)
        self._unsigned_limits = replace(unsigned, total=LARGEST, excess=LAST) if limits.total > LARGEST else unsigned

    async def read(self, request: web.Request, folder: SpoolFolder, *, signed: bool) -> Received:
        """Read the body. `signed`: one without a good signature is refused, as early as possible.

        Raises BadSignature, BodyTooLarge, InvalidJson, ClientError, RequestTimeout, DiskFull.
        """
        self._limits.check_total(request.content_length or 0)
        reader = BodyReader(request.content.iter_any(), request.charset or "")
        try:
            async with asyncio.timeout(self._timeout_s), self._unsigned.share(_closes(request)) as share:
                grant, problem = await self._head(reader, share)
                if grant is None and signed and problem is not None:
                    raise problem
                if grant is None:
                    received = await self._read_unsigned(request, reader, folder, share)
                    if signed and received.problem is not None:
                        raise received.problem
                    return received
            mark_authenticated(request)
            envelope = read_envelope(await reader.read(folder, self._limits))
        except TimeoutError:
            raise RequestTimeout(f"the body did not arrive within {self._timeout_s:g} s") from None
        except web.RequestPayloadError as error:
            raise ClientError("the body is not encoded as Content-Encoding and Transfer-Encoding say") from error
        if envelope.grant != grant:
            raise BadSignature("`auth_data` is there twice, and the two differ")
        return Received(envelope, grant)

    async def _head(self, reader: BodyReader, share: Share) -> tuple[Grant | None, BadSignature | None]:
        """Read until `auth_data` is there, or the body ends, or its head does; return what it grants."""
        wanted = 1
        while reader.size < HEAD and not reader.ended:
            text = await reader.head(min(wanted, HEAD))
            self._unsigned.grow(share, reader.size)
            if reader.ended:
                break
            if len(text) <= FIRST:
                found = AUTH_DATA.find(text)
            else:
                async with self._unsigned.turn:
                    found = AUTH_DATA.find(text[:HEAD])
            if found is not None:
                return self._granted(grant_of(found[0]))
            wanted = len(text) + 1 if len(text) <= FIRST else int(len(text) * GROWTH)
        return None, None

    async def _read_unsigned(
        self, request: web.Request, reader: BodyReader, folder: SpoolFolder, share: Share
    ) -> Received:
        """Read a body whose head has no good signature."""
        limits = self._unsigned_limits
        if reader.ended:
            async with self._unsigned.turn:
                return self._judged(request, await reader.read(folder, limits))
        if (request.content_length or 0) > limits.total:
            raise BodyTooLarge(LAST)
        self._unsigned.grow(share, reader.size + BEHIND)
        async with self._unsigned.slots:
            self._unsigned.grow(share, LARGEST + BEHIND)
            return self._judged(request, await reader.read(folder, limits))

    def _judged(self, request: web.Request, body: ScannedBody) -> Received:
        """Look for the signature in a whole body."""
        envelope = read_envelope(body)
        grant, problem = self._granted(envelope.grant)
        if grant is not None:
            mark_authenticated(request)
        return Received(envelope, grant, problem)

    def _granted(self, grant: Grant | None) -> tuple[Grant | None, BadSignature | None]:
        try:
            return self._check.check(grant), None
        except BadSignature as problem:
            return None, problem


def _closes(request: web.Request) -> Callable[[], None]:
    def close() -> None:
        if request.transport is not None:
            request.transport.abort()

    return close
