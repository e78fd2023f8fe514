"""The tools over a proxy: in front of a backend, and with keys and limits of its callers."""

from __future__ import annotations

from pathlib import Path

from mcp import Client, StdioServerParameters
from mcp.client.stdio import stdio_client

from tests.conftest import Client as Worker
from tests.mcp_server.hosts import http_host, http_server, kinds, stdio_command, structured, text
from worker.proxy.callers import key_hash, new_key


async def test_an_agent_uses_a_backend(client: Worker) -> None:
    """`--backend` makes a picture through a proxy that the server starts."""
    command: StdioServerParameters = stdio_command("--backend", client.app.url)
    async with Client(stdio_client(command)) as host:
        result = await host.call_tool("generate", {"template": "smoke-resize"})
        assert structured(result)["state"] == "completed"
        assert "image" in kinds(result)
        described = structured(await host.call_tool("describe_template", {"template": "smoke-resize"}))
        assert described["name"] == "smoke-resize"


async def test_callers_have_the_keys_and_limits_of_the_proxy(client: Worker, tmp_path: Path) -> None:
    """A wrong key is refused, and a caller cannot send more requests than the file allows."""
    key = new_key()
    (tmp_path / "proxy.toml").write_text(
        f"""
        [server]
        state = "{tmp_path / "state"}"
        [[backends]]
        name = "worker"
        url = "{client.app.url}"
        [[callers]]
        name = "ann"
        key_sha256 = "{key_hash(key.encode())}"
        requests_per_minute = 1
        """
    )
    async with http_server("--config", tmp_path / "proxy.toml") as (url, _), http_host(url, key) as host:
        first = await host.call_tool("generate", {"template": "smoke-resize"})
        assert structured(first)["state"] == "completed"
        second = await host.call_tool("generate", {"template": "smoke-resize"})
        assert second.is_error
        assert "rate_limited" in text(second)
