"""Builders of responses, and readers of request bodies, in ComfyUI's forms."""

from __future__ import annotations

import json
from typing import NoReturn

import orjson
from aiohttp import web

JSON_TYPE = "application/json; charset=utf-8"


def json_response(value: object, status: int = 200) -> web.Response:
    """Return a response whose body is `value` as JSON."""
    return web.Response(body=dumps(value), status=status, headers={"Content-Type": JSON_TYPE})


def dumps(value: object) -> bytes:
    """Serialize a value as JSON. Values that orjson rejects are serialized by Python's own module."""
    try:
        return orjson.dumps(value)
    except TypeError:  # integers of more than 64 bits, lone surrogates, very deep lists
        return json.dumps(value).encode()


def empty_response(status: int = 200) -> web.Response:
    """Return a response without body and Content-Type, as ComfyUI does for commands and most rejections."""
    response = web.Response(status=status)
    response.headers.pop("Content-Type", None)
    return response


class ServerFailure(Exception):
    """A real ComfyUI raises an unhandled exception here, so the client gets a bare 500 response."""


def fail_request(reason: str) -> NoReturn:
    """Raise `ServerFailure`. The reason is logged and not sent to the client."""
    raise ServerFailure(reason)


async def json_body(request: web.Request) -> object:
    """Decode the body as JSON, whatever its Content-Type is. Raises `ServerFailure` when it is not JSON."""
    try:
        return orjson.loads(await request.read())
    except orjson.JSONDecodeError as error:
        raise ServerFailure("the request body is not JSON") from error


async def json_object(request: web.Request) -> dict[str, object]:
    """Decode the body as a JSON object. Raises `ServerFailure` when it is anything else."""
    body = await json_body(request)
    return body if isinstance(body, dict) else fail_request("the request body is not a JSON object")
