"""Calls of handlers: arguments, results, and the errors of both."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from PIL import Image

from tests.conftest import Client, bearer, worker
from tests.engines import EngineHandle
from tests.handlers.apps import write_app

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def client(engine: EngineHandle, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Client]:
    """A worker with handlers. No test here ends their process."""
    folder = tmp_path_factory.mktemp("handlers")
    app = write_app(folder / "app")
    async with worker(engine, folder / "state", handlers=app, handlers_port=0, handlers_max_result=2) as found:
        yield found


async def call(client: Client, name: str, /, **arguments: object) -> Any:
    status, body = await client.post(f"/handlers/{name}", arguments)
    assert status == 200, body
    return body


async def raw(client: Client, name: str, /, **arguments: object) -> tuple[int, str, bytes]:
    async with client.http.post(f"{client.app.url}/handlers/{name}", json=arguments) as answer:
        return answer.status, answer.content_type, await answer.read()


async def error(client: Client, name: str, /, **arguments: object) -> tuple[int, dict[str, Any]]:
    status, body = await client.post(f"/handlers/{name}", arguments)
    return status, body["error"]


async def test_a_call_returns_what_the_handler_returns(client: Client) -> None:
    """Arguments are keywords, and the body is the plain result."""
    assert await call(client, "greet", name="Ada", times=2, loud=True) == {"text": "hello Ada hello Ada ", "loud": True}
    assert await call(client, "anything", first=[1], more={"a": None}) == [[1], {"more": {"a": None}}]


@pytest.mark.parametrize(
    ("kind", "expected"), [("none", None), ("text", "x"), ("number", 1.5), ("list", [1, "a"]), ("tuple", [1, 2])]
)
async def test_json_values_are_json(client: Client, kind: str, expected: object) -> None:
    """Each kind of JSON value is the body as it is."""
    assert await call(client, "value", kind=kind) == expected


async def test_a_coroutine_function_is_awaited(client: Client) -> None:
    """A handler may be `async def`."""
    assert await call(client, "later") == "later"


async def test_bytes_are_the_body(client: Client) -> None:
    """Bytes are sent raw, with the type that their beginning has."""
    assert await raw(client, "file") == (200, "image/png", b"\x89PNG\r\n\x1a\n the rest")


async def test_head_of_a_result_sends_no_body(client: Client) -> None:
    """Its length is that of the result, and the next response on the connection is whole."""
    url, headers = f"{client.app.url}/handlers/returns", {"Prefer": "respond-async"}
    async with client.http.post(url, json={"megabytes": 2}, headers=headers) as response:
        job = await response.json()
    await client.state(job, "completed")
    path, connector = f"{client.app.url}/jobs/{job['id']}", aiohttp.TCPConnector(limit=1)
    async with (
        aiohttp.ClientSession(connector=connector, headers=bearer(job["token"])) as http,
        http.head(path) as head,
        http.get(path) as answer,
    ):
        assert (head.status, answer.status) == (200, 200)
        assert int(head.headers["Content-Length"]) == len(await answer.read()) == 2 * 1024 * 1024


async def test_a_picture_is_a_png(client: Client) -> None:
    """A PIL image is sent as PNG."""
    status, kind, data = await raw(client, "image", color="teal")
    assert (status, kind) == (200, "image/png")
    assert Image.open(io.BytesIO(data)).size == (4, 3)


async def test_files_inside_json_are_base64(client: Client) -> None:
    """Bytes and images inside a result are base64 with their type."""
    result = await call(client, "nested")
    assert result["data"] == [{"media_type": "application/octet-stream", "data": "YWJj"}]
    assert result["image"]["media_type"] == "image/png"
    assert Image.open(io.BytesIO(base64.b64decode(result["image"]["data"]))).size == (2, 2)


async def test_large_arguments_arrive(client: Client) -> None:
    """Arguments above the size that is kept in memory reach the handler complete."""
    body = io.BytesIO(json.dumps({"text": "ü" * 3_000_000}).encode())
    async with client.http.post(f"{client.app.url}/handlers/length", data=body) as answer:
        assert await answer.json() == 3_000_000


@pytest.mark.parametrize(
    ("arguments", "field", "cure"),
    [
        ({}, "name", "add 'name' to the JSON object"),
        ({"name": "x", "time": 3}, "time", "Did you mean 'times'?"),
        ({"name": "x", "unheard": 3}, "unheard", "it takes: name, times, loud"),
    ],
)
async def test_arguments_that_do_not_fit_are_named(
    client: Client, arguments: dict[str, object], field: str, cure: str
) -> None:
    """A missing or unexpected argument is a 422 with the argument and the cure, before the handler runs."""
    status, problem = await error(client, "greet", **arguments)
    assert (status, problem["code"]) == (422, "invalid_arguments")
    assert [(detail["input"], detail["suggestion"]) for detail in problem["details"]] == [(field, cure)]


async def test_an_unknown_handler_is_named(client: Client) -> None:
    """An unknown name is a 404 with the nearest name. Private functions are not served."""
    status, problem = await error(client, "gret")
    assert (status, problem["code"], problem["details"][0]["suggestion"]) == (
        404,
        "unknown_handler",
        "Did you mean 'greet'?",
    )
    assert (await error(client, "_private"))[0] == 404


@pytest.mark.parametrize(("body", "code"), [(b"[1]", "invalid_json"), (b"{", "invalid_json"), (b'"x"', "invalid_json")])
async def test_a_body_that_is_no_object_is_refused(client: Client, body: bytes, code: str) -> None:
    """The body must be a JSON object."""
    async with client.http.post(f"{client.app.url}/handlers/greet", data=body) as answer:
        assert (answer.status, (await answer.json())["error"]["code"]) == (400, code)


async def test_an_exception_is_the_error(client: Client, caplog: pytest.LogCaptureFixture) -> None:
    """The answer has class and message of the exception, and the log has its place."""
    status, problem = await error(client, "fails")
    assert (status, problem["code"], problem["fault"]) == (422, "handler_failed", "job")
    assert problem["message"] == "the handler failed: ValueError: no such color"
    assert "in fails: raise ValueError" in caplog.text


async def test_an_exit_is_a_failure(client: Client) -> None:
    """`sys.exit` in a handler fails the call and does not end the process."""
    before = await call(client, "place")
    assert (await error(client, "exits"))[1]["message"] == "the handler failed: sys.exit(3) was called"
    assert (await call(client, "place"))["pid"] == before["pid"]


@pytest.mark.parametrize(
    ("kind", "message"),
    [("object", "of type object"), ("nan", "is nan, which JSON does not have"), ("set", "of type set")],
)
async def test_a_value_without_json_form_is_named(client: Client, kind: str, message: str) -> None:
    """A result that cannot be sent is an error that says why."""
    status, problem = await error(client, "unsupported", kind=kind)
    assert (status, problem["code"]) == (422, "unsupported_result")
    assert message in problem["message"]


async def test_a_result_above_the_limit_is_refused(client: Client) -> None:
    """A result above the limit is an error with the limit, and one within it is sent."""
    status, problem = await error(client, "returns", megabytes=100)
    assert (status, problem["code"]) == (422, "unsupported_result")
    assert "the limit is 2,097,152" in problem["message"]
    assert len((await raw(client, "returns", megabytes=2))[2]) == 2 * 1024 * 1024


async def test_handlers_are_listed(client: Client) -> None:
    """The list has names, docstrings and parameters. The parameter for the port is the worker's."""
    status, body = await client.get("/handlers")
    handlers = {handler["name"]: handler for handler in body["handlers"]}
    assert status == 200
    assert "_private" not in handlers
    assert handlers["greet"]["doc"] == "Return a greeting."
    assert handlers["greet"]["parameters"] == [
        {"name": "name", "required": True, "default": None, "type": None},
        {"name": "times", "required": False, "default": "1", "type": None},
        {"name": "loud", "required": False, "default": "False", "type": "bool"},
    ]
    assert handlers["where"]["parameters"] == []
    assert handlers["anything"]["other_arguments"]


async def test_a_call_is_a_job(client: Client) -> None:
    """A call with `Prefer: respond-async` is answered with 202, and its result is fetched by id and token."""
    status, job = await client.post("/handlers/greet", {"name": "Bo"}, Prefer="respond-async")
    assert status == 202
    await client.state(job, "completed")
    assert await client.get(f"/jobs/{job['id']}", job["token"]) == (200, {"text": "hello Bo ", "loud": False})
    url = f"{client.app.url}/jobs/{job['id']}/events"
    async with client.http.get(url, headers=bearer(job["token"])) as stream:
        last = (await stream.text()).strip().rpartition("data: ")[2]
    result = {"id": job["id"], "status": "completed", "result": {"text": "hello Bo ", "loud": False}}
    assert json.loads(last) == result


async def test_a_repeated_call_is_the_same_job(client: Client) -> None:
    """A call with the key of an earlier one returns its result, and another call with this key is refused."""
    headers = {"Idempotency-Key": "call-1"}
    first = await client.post("/handlers/place", {}, **headers)
    assert await client.post("/handlers/place", {}, **headers) == first
    status, body = await client.post("/handlers/greet", {"name": "x"}, **headers)
    assert (status, body["error"]["code"]) == (409, "id_taken")


async def test_a_process_sees_its_own_app(client: Client) -> None:
    """A process runs in the folder of the app, which is the first one in its path."""
    place = await call(client, "place")
    assert Path(place["cwd"]) == Path(place["path"])
    assert (Path(place["cwd"]) / "handlers").is_dir()


async def test_calls_have_metrics_by_handler(client: Client) -> None:
    """The times of a handler's calls can be told from those of other handlers and of templates."""
    await call(client, "later")
    async with client.http.get(f"{client.app.url}/metrics") as answer:
        assert 'comfy_worker_job_duration_seconds_count{template="handlers/later"}' in await answer.text()
