"""URL-encoded form bodies: JSON with the wrong content type, or fields of a request."""

from __future__ import annotations

from codecs import BOM_UTF8
from collections.abc import AsyncIterator
from urllib.parse import parse_qsl

import orjson

from worker.bodies import BodyLimits
from worker.errors import BodyTooLarge, ClientError

FORM = "application/x-www-form-urlencoded"
FIRST_BYTES_OF_FORM = frozenset(b"%abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_")
"""First bytes of a form. JSON in any encoding begins with other bytes."""
WHOLE_REQUEST_FIELDS = ("request", "payload", "body", "data", "json")
"""Names of form fields that contain a whole request."""
MOST_FIELDS = 100


async def form_chunks(chunks: AsyncIterator[bytes], limits: BodyLimits) -> AsyncIterator[bytes]:
    """Yield the body as JSON. Many clients send JSON with the content type of a form, and it passes unchanged.

    JSON that was made from a form begins with a byte order mark, so that the charset of the header is ignored.

    Raises BodyTooLarge or ClientError.
    """
    start, size = b"", 0
    while not start and (chunk := await anext(chunks, None)) is not None:  # chunks of whitespace are skipped
        size += len(chunk)
        limits.check_total(size)
        start = chunk.lstrip()
    if start and start[0] in FIRST_BYTES_OF_FORM:
        form = bytearray(start)
        async for chunk in chunks:
            form += chunk
            if len(form) > limits.max_restored:  # a form is read into memory, as long texts are
                raise BodyTooLarge(
                    f"the form is larger than {limits.max_restored} bytes: send JSON or multipart/form-data"
                )
        yield BOM_UTF8 + json_of(bytes(form)).removeprefix(BOM_UTF8)
        return
    yield start
    async for chunk in chunks:
        yield chunk


def json_of(form: bytes) -> bytes:
    """Return the JSON in a form: the value of a field for the whole request, or an object with all fields.

    Raises ClientError if the form cannot be decoded.
    """
    try:
        fields = dict(parse_qsl(form.decode(), keep_blank_values=True, max_num_fields=MOST_FIELDS))
    except ValueError as error:
        raise ClientError(f"cannot read the form: {error}") from None
    if len(fields) == 1:
        [(name, value)] = fields.items()
        if name.lstrip().startswith("{") and not value:  # JSON that was URL-encoded as a whole
            return name.encode()
        if name in WHOLE_REQUEST_FIELDS:
            return value.encode()
    return orjson.dumps(fields)
