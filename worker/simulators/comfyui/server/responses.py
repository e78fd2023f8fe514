"""The few forms that answers take."""

from __future__ import annotations

import json
from typing import NoReturn

import orjson
from aiohttp import web

JSON_TYPE = "application/json; charset=utf-8"


def json_response(value: object, status: int = 200) -> web.Response:
    return web.Response(body=dumps(value), status=status, headers={"Content-Type": JSON_TYPE})


def dumps(value: object) -> bytes:
    """Write what ComfyUI would; only Python's own module writes all that a node may report."""
    try:
        return orjson.dumps(value)
    except TypeError:  # whole numbers of more than 64 bits, halves of surrogate pairs, very deep lists
        return json.dumps(value).encode()


def empty_response(status: int = 200) -> web.Response:
    """An answer with no body and no Content-Type, as ComfyUI gives to commands and to most refusals."""
    response = web.Response(status=status)
    response.headers.pop("Content-Type", None)
    return response


class ServerFailure(Exception):
    """The real server raises here: the client gets a bare 500."""


def fail_request(reason: str) -> NoReturn:
    raise ServerFailure(reason)


async def json_body(request: web.Request) -> object:
    """Decode the body whatever its Content-Type says. Raises `ErrorAnswer` where it isn't JSON."""
    try:
        return orjson.loads(await request.read())
    except orjson.JSONDecodeError as error:
        raise ServerFailure("the body is not JSON") from error


async def json_object(request: web.Request) -> dict[str, object]:
    """Decode a JSON object; anything else is `ErrorAnswer`."""
    body = await json_body(request)
    return body if isinstance(body, dict) else fail_request("the body is not an object")
