"""Requests to paths of other servers get a hint at the route with the same purpose."""

from __future__ import annotations

import pytest

from tests.conftest import Client, shared_client

pytestmark = pytest.mark.asyncio(loop_scope="module")
client = shared_client

PATHS = {
    "/prompt": "POST /generate/sync",
    "/queue": "GET /queue-info",
    "/history": "GET /jobs/{id}",
    "/history/6f2ff9a4": "GET /jobs/{id}",
    "/view": "GET /jobs/{id}/outputs/{n}",
    "/object_info": "GET /capabilities",
    "/object_info/KSampler": "GET /capabilities",
    "/upload/image": "`inputs`",
    "/upload/mask": "`inputs`",
    "/interrupt": "DELETE /jobs/{id}",
    "/free": "DELETE /jobs/{id}",
    "/system_stats": "GET /capabilities",
    "/ws": "POST /generate/stream",
    "/models/checkpoints": "POST /validate",
    "/invoke": "POST /generate",
    "/retry/abc": "POST /generate/sync",
    "/v2/abc123/retry/abc": "POST /generate/sync",
    "/history/abc": "GET /jobs/{id}",
    "/events/abc": "GET /jobs/{id}/events",
    "/predictions": "POST /generate/sync",
    "/healthz": "GET /health",
    "/generate/sync/": "/generate/sync",
    "/Generate/Sync": "/generate/sync",
    "/generate-sync": "/generate/sync",
    "/v1/generate": "it is /generate",
    "/generatesync": "/generate/sync",
    "/": "GET /docs",
    "/nothing/like/it": "GET /openapi.json",
}


@pytest.mark.parametrize("prefix", ["", "/api"])
@pytest.mark.parametrize("path", PATHS)
async def test_a_path_of_another_server_names_our_route(client: Client, path: str, prefix: str) -> None:
    """The 404 for a path of another server names the route, for GET and POST, with and without ComfyUI's /api."""
    for method in ("GET", "POST"):
        async with client.http.request(method, client.app.url + prefix + path) as answer:
            error = (await answer.json())["error"]
        assert (answer.status, error["code"]) == (404, "not_found")
        assert PATHS[path] in error["message"]
