"""Bodies of HTML forms that are URL-encoded: JSON in disguise, or fields of which one is a workflow."""

from __future__ import annotations

from codecs import BOM_UTF8
from collections.abc import AsyncIterator
from urllib.parse import parse_qsl

import orjson

from worker.bodies import BodyLimits
from worker.errors import BodyTooLarge, ClientError

FORM = "application/x-www-form-urlencoded"
ENCODED = frozenset(b"%abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_")
"""First bytes of a form; JSON in any encoding begins with others."""
WHOLE = ("request", "payload", "body", "data", "json")
"""Names under which forms send a whole request."""
MOST_FIELDS = 100


async def form_chunks(chunks: AsyncIterator[bytes], limits: BodyLimits) -> AsyncIterator[bytes]:
    """Yield the body as JSON: as it is where it is JSON, as many clients send under a form's content type.

    JSON that was made of a form begins with a byte order mark, whatever encoding the header declares.

    Raises BodyTooLarge, ClientError.
    """
    first, size = b"", 0
    while not first and (chunk := await anext(chunks, None)) is not None:
        size += len(chunk)
        limits.check_total(size)
        first = chunk.lstrip()
    if first and first[0] in ENCODED:
        form = bytearray(first)
        async for chunk in chunks:
            form += chunk
            if len(form) > limits.restored:
                raise BodyTooLarge(f"a form may have {limits.restored} bytes: send JSON, or multipart/form-data")
        yield BOM_UTF8 + json_of(bytes(form)).removeprefix(BOM_UTF8)
        return
    yield first
    async for chunk in chunks:
        yield chunk


def json_of(form: bytes) -> bytes:
    """Return the JSON that a form means. Raises ClientError."""
    try:
        fields = dict(parse_qsl(form.decode(), keep_blank_values=True, max_num_fields=MOST_FIELDS))
    except ValueError as error:
        raise ClientError(f"the form can't be read: {error}") from None
    if len(fields) == 1:
        [(name, value)] = fields.items()
        if name.lstrip().startswith("{") and not value:  # JSON that was encoded as a whole
            return name.encode()
        if name in WHOLE:
            return value.encode()
    return orjson.dumps(fields)
