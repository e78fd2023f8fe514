"""Several callers over streamable HTTP."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from mcp import Client, MCPError
from pydantic import SecretStr

from tests.cli.terminal import cli
from tests.conftest import worker
from tests.engines import EngineHandle
from tests.mcp_server.hosts import (
    ALICE,
    BOB,
    HELLO,
    MODES,
    NONSENSE,
    TOKENS,
    http_host,
    http_server,
    stdio_command,
    structured,
    text,
)
from tests.workflows import slow

pytestmark = pytest.mark.asyncio(loop_scope="module")

ACCEPT = {"Accept": "application/json, text/event-stream"}
EVERYWHERE = "0.0.0.0"  # noqa: S104 - the server is expected to refuse it
PING = {"jsonrpc": "2.0", "id": 1, "method": "ping"}


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def server(engine: EngineHandle, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    """The URL of a server in front of a worker with the tokens of two callers."""
    async with (
        worker(engine, tmp_path_factory.mktemp("worker"), tokens=SecretStr(TOKENS)) as client,
        http_server("--url", client.app.url, WORKER_MAX_BODY_MIB="1") as (url, _),
    ):
        yield url


async def post(url: str, body: Any, token: str = ALICE, **headers: str) -> tuple[int, dict[str, str], str]:
    """Send a message and return the status, the headers and the text of the response."""
    own = ACCEPT | ({"Authorization": f"Bearer {token}"} if token else {}) | headers
    async with aiohttp.ClientSession() as http:
        content = body.encode() if isinstance(body, str) else body
        data = {"data": io.BytesIO(content)} if isinstance(content, bytes) else {"json": content}
        async with http.post(url, headers={"Content-Type": "application/json", **own}, **data) as answer:
            return answer.status, {name.lower(): value for name, value in answer.headers.items()}, await answer.text()


@pytest.mark.parametrize("mode", MODES)
async def test_a_caller_sees_its_own_jobs_only(server: str, mode: str) -> None:
    """A job, its outputs and its cancellation are for the caller that started it."""
    progress: list[str | None] = []

    async def on_progress(_value: float, _total: float | None, message: str | None) -> None:
        progress.append(message)

    async with http_host(server, ALICE, mode) as alice, http_host(server, BOB, mode) as bob:
        result = await alice.call_tool("generate", {"template": "smoke-resize"}, progress_callback=on_progress)
        report = structured(result)
        uri, job = report["outputs"][0]["uri"], {"job_id": report["job_id"]}
        assert structured(await alice.call_tool("status", job))["outputs"] == report["outputs"]
        assert (await alice.read_resource(uri)).contents
        for tool in ("status", "cancel"):
            assert text(await bob.call_tool(tool, job)).startswith("not_found:")
        with pytest.raises(MCPError, match="not_found"):
            await bob.read_resource(uri)
        chained = {"template": "resize", "params": {"image": uri, "width": 64, "height": 64}}
        assert text(await bob.call_tool("generate", chained)).startswith("output_not_kept:")
        assert not (await alice.call_tool("generate", chained)).is_error
    assert any("generating" in (message or "") for message in progress)


async def test_a_later_server_finds_the_jobs_of_a_caller(server: str) -> None:
    """The token of the caller is enough to read a job that another connection started."""
    async with http_host(server, ALICE) as host:
        job = structured(await host.call_tool("generate", {"template": "smoke-resize"}))["job_id"]
    async with http_host(server, ALICE, "legacy") as host:
        assert structured(await host.call_tool("status", {"job_id": job}))["state"] == "completed"


@pytest.mark.parametrize("token", ["", "unknown-0123456789abcdef", ALICE[:-1], "é" * 16])
async def test_a_token_is_required(server: str, token: str) -> None:
    """Without a valid token the response is 401 with the scheme of the authentication."""
    status, headers, _ = await post(server, PING, token)
    assert status == 401
    assert headers["www-authenticate"].startswith("Bearer ")


async def test_the_session_of_another_caller_does_not_exist(server: str) -> None:
    """A session id works only with the token that opened the session."""
    status, headers, _ = await post(server, HELLO, ALICE)
    assert status == 200
    session = {"Mcp-Session-Id": headers["mcp-session-id"], "MCP-Protocol-Version": "2025-06-18"}
    assert (await post(server, PING, BOB, **session))[0] == 404
    assert (await post(server, PING, ALICE, **session))[0] == 200


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Host": "evil.example"}, 421),
        ({"Host": "127.0.0.1.evil.example:80"}, 421),
        ({"Content-Type": "text/plain"}, 400),
        ({"Accept": "image/png"}, 406),
    ],
)
async def test_requests_of_web_pages_are_rejected(server: str, headers: dict[str, str], status: int) -> None:
    """A request with a foreign origin or host, or as a form could send it, is rejected."""
    assert (await post(server, HELLO, **headers))[0] == status


@pytest.mark.parametrize("body", NONSENSE)
@pytest.mark.parametrize("version", ["2025-06-18", "2026-07-28"])
async def test_nonsense_is_a_client_error(server: str, body: str | bytes, version: str) -> None:
    """A body that is no message is a 4xx response, and the server goes on."""
    status, _, _ = await post(server, body, **{"MCP-Protocol-Version": version})
    assert 400 <= status < 500
    async with http_host(server, BOB) as host:
        assert structured(await host.call_tool("list_templates", {}))["templates"]


async def test_a_large_body_is_rejected(server: str) -> None:
    """A body above WORKER_MAX_BODY_MIB is rejected with 413, and one below is not."""
    assert (await post(server, " " * (1024**2 + 1)))[0] == 413
    arguments = {"template": "resize", "params": {"image": "A" * 900_000}}
    async with http_host(server, ALICE) as host:
        assert text(await host.call_tool("generate", arguments)).startswith("invalid_input_file:")


async def test_many_calls_at_a_time(server: str) -> None:
    """A hundred parallel calls all end, with outputs or with the error of a full queue."""
    async with http_host(server, ALICE) as alice, http_host(server, BOB) as bob:
        calls = [host.call_tool("generate", {"workflow": slow(0.01)}) for host in (alice, bob) for _ in range(50)]
        results = await asyncio.wait_for(asyncio.gather(*calls), 120)
    codes = {text(result).partition(":")[0] for result in results if result.is_error}
    assert codes <= {"queue_full"}
    assert sum(not result.is_error for result in results) >= 30


async def test_without_tokens_the_caller_is_this_machine(engine: EngineHandle, tmp_path: Path) -> None:
    """In front of a worker without tokens, callers on this machine need none, and a token makes no difference."""
    async with worker(engine, tmp_path) as client, http_server("--url", client.app.url) as (url, _):
        async with http_host(url) as host:
            job = structured(await host.call_tool("generate", {"template": "smoke-resize"}))["job_id"]
        async with http_host(url, "any-token-0123456789") as host:
            assert structured(await host.call_tool("status", {"job_id": job}))["state"] == "completed"


async def test_an_api_that_stops_is_unavailable(engine: EngineHandle, tmp_path: Path) -> None:
    """While the API does not respond, a token cannot be checked, and the response is 503."""
    async with worker(engine, tmp_path, tokens=SecretStr(TOKENS)) as client:
        server = http_server("--url", client.app.url)
        url, _ = await server.__aenter__()
    try:
        status, _, body = await post(url, HELLO)
        assert (status, "temporarily_unavailable" in body) == (503, True)
    finally:
        await server.__aexit__(None, None, None)


async def test_a_server_that_anyone_could_use_does_not_start(engine: EngineHandle, tmp_path: Path) -> None:
    """Without tokens at the API, the server does not listen on an address of other machines."""
    async with worker(engine, tmp_path) as client:
        words = ("mcp", "--http", "--host", EVERYWHERE, "--port", "0", "--url", client.app.url)
        done = await asyncio.to_thread(lambda: cli(*words, cwd=tmp_path))
    assert done.returncode == 1
    assert "does not listen on 0.0.0.0 without tokens" in done.stderr
    assert "WORKER_TOKENS" in done.stderr


async def test_allowed_hosts(engine: EngineHandle, tmp_path: Path) -> None:
    """--allowed-host adds the name of a reverse proxy."""
    async with (
        worker(engine, tmp_path) as client,
        http_server("--url", client.app.url, "--allowed-host", "comfy.example.com") as (url, _),
    ):
        own = {"Host": "comfy.example.com", "Origin": "https://comfy.example.com"}
        assert (await post(url, HELLO, **own))[0] == 200


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--http", "--out", "x"), "are for one user on this machine"),
        (("--token-file", "none"), "No such file"),
        (("--http", "--url", "http://127.0.0.1:9"), "no worker responds"),
        (("--http", "--port", "99999"), "cannot listen on"),
    ],
)
async def test_a_wrong_start_is_explained(tmp_path: Path, words: tuple[str, ...], message: str) -> None:
    """The command fails with a sentence for options that cannot work."""
    done = await asyncio.to_thread(lambda: cli("mcp", *words, cwd=tmp_path))
    assert done.returncode in {1, 2}
    assert message in done.stderr
    assert done.stdout == ""


async def test_the_token_file(engine: EngineHandle, tmp_path: Path) -> None:
    """Over standard input the token comes from a file or from WORKER_TOKEN, and a wrong one is an error."""
    (tmp_path / "token").write_text(f"{ALICE}\n")
    async with worker(engine, tmp_path / "state", tokens=SecretStr(TOKENS)) as client:
        commands = [
            stdio_command("--url", client.app.url, "--token-file", tmp_path / "token"),
            stdio_command("--url", client.app.url, WORKER_TOKEN="wrong"),
        ]
        results = []
        for command in commands:
            async with Client(command) as host:
                results.append(await host.call_tool("list_templates", {}))
    assert structured(results[0])["templates"]
    assert text(results[1]).startswith("unauthorized:")
    assert "WORKER_TOKEN" in text(results[1])
