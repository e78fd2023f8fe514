"""Cross-origin requests: preflight requests, and headers of responses."""

from __future__ import annotations

import io
import json
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from pydantic import SecretStr

from tests.conftest import Client, worker
from tests.engines import EngineHandle
from tests.workflows import picture
from worker.api.edge.cors import Cors
from worker.errors import StartupError

APP, OTHER = "https://app.example.com", "https://evil.example.com"
TOKEN = "a-token-of-the-page"


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def client(engine: EngineHandle, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Client]:
    """A worker with tokens that allows one origin."""
    given = {"cors_origins": f"{APP}, http://localhost:3000", "tokens": SecretStr(f"page={TOKEN}"), "max_body": 1}
    async with worker(engine, tmp_path_factory.mktemp("worker"), **given) as found:
        yield found


def headers(origin: str = APP, **more: str) -> dict[str, str]:
    """Return the CORS headers of a response."""
    return {"Origin": origin, "Authorization": f"Bearer {TOKEN}", **more}


PREFLIGHT = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type,authorization"}


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("path", ["/generate/sync", "/generate/stream", "/jobs/x", "/jobs/x/outputs/0", "/nowhere"])
async def test_preflight_needs_no_token(client: Client, path: str) -> None:
    """A preflight request needs no token on any route."""
    async with client.http.options(client.app.url + path, headers={"Origin": APP, **PREFLIGHT}) as answer:
        assert answer.status == 204
        assert answer.headers["Access-Control-Allow-Origin"] == APP
        assert {"POST", "DELETE"} <= set(answer.headers["Access-Control-Allow-Methods"].split(", "))
        assert answer.headers["Access-Control-Allow-Headers"] == "content-type,authorization"
        assert answer.headers["Vary"] == "Origin"


@pytest.mark.asyncio(loop_scope="module")
async def test_another_origin_is_not_let_in(client: Client) -> None:
    """A preflight request of another origin is 403, and responses have no permission but vary by origin."""
    async with client.http.options(client.app.url + "/generate", headers={"Origin": OTHER, **PREFLIGHT}) as answer:
        assert answer.status == 403
        assert "Access-Control-Allow-Origin" not in answer.headers
        assert OTHER in (await answer.json())["error"]["message"]
    for origin in ({"Origin": OTHER}, {"Origin": "null"}, {}):
        async with client.http.get(client.app.url + "/health", headers=origin) as answer:
            assert (answer.status, answer.headers["Vary"]) == (200, "Origin")
            assert "Access-Control-Allow-Origin" not in answer.headers


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/capabilities", 401), ("GET", "/jobs/none", 404), ("GET", "/nowhere", 404), ("PUT", "/generate", 405)],
)
async def test_errors_can_be_read(client: Client, method: str, path: str, status: int) -> None:
    """Error responses have the headers, so that a page can read them."""
    async with client.http.request(method, client.app.url + path, headers={"Origin": APP}) as answer:
        assert (answer.status, answer.headers["Access-Control-Allow-Origin"]) == (status, APP)


@pytest.mark.asyncio(loop_scope="module")
async def test_work_can_be_asked_for(client: Client) -> None:
    """JSON, files, events and 413 responses have the headers, and list those that a page may read."""
    url, body = client.app.url, json.dumps({"workflow": picture()})
    for path, more, status in (
        ("/generate/sync", {}, 200),
        ("/generate/sync", {"Accept": "image/*"}, 200),
        ("/generate/stream", {}, 200),
        ("/generate", {}, 202),
    ):
        async with client.http.post(url + path, data=body, headers=headers(**more)) as answer:
            await answer.read()
            assert (answer.status, answer.headers["Access-Control-Allow-Origin"]) == (status, APP)
            assert answer.headers["Access-Control-Allow-Credentials"] == "true"
            assert {"X-Job-Token", "Location"} <= set(answer.headers["Access-Control-Expose-Headers"].split(", "))
    async with client.http.post(url + "/generate", data=io.BytesIO(b" " * 1_200_000), headers=headers()) as answer:
        assert (answer.status, answer.headers["Access-Control-Allow-Origin"]) == (413, APP)


async def test_any_origin_gets_no_credentials(engine: EngineHandle, tmp_path: object) -> None:
    """`*` is never sent with permission for credentials."""
    async with worker(engine, tmp_path, cors_origins="*") as client:
        async with client.http.get(client.app.url + "/health", headers={"Origin": OTHER}) as answer:
            assert answer.headers["Access-Control-Allow-Origin"] == "*"
            assert "Access-Control-Allow-Credentials" not in answer.headers
        async with client.http.options(client.app.url + "/validate", headers={"Origin": OTHER, **PREFLIGHT}) as answer:
            assert (answer.status, answer.headers["Access-Control-Allow-Origin"]) == (204, "*")


async def test_without_the_setting_nothing_changes(engine: EngineHandle, tmp_path: object) -> None:
    """Without the setting no other origin gets a permission."""
    async with worker(engine, tmp_path) as client:
        url = client.app.url + "/generate/sync"
        async with client.http.options(url, headers={"Origin": APP, **PREFLIGHT}) as answer:
            assert answer.status == 403
            assert not [name for name in answer.headers if name.startswith("Access-Control")]


def test_origins_are_compared_as_browsers_write_them() -> None:
    """Case, a final slash and the default port make no difference. `*` may be combined with origins."""
    cors = Cors.read("HTTPS://App.Example.com:443/, http://[::1]:8080, *")
    assert cors == Cors(frozenset({APP, "http://[::1]:8080"}), any_origin=True)
    assert "Access-Control-Allow-Credentials" in cors.headers(APP)
    assert cors.headers(OTHER)["Access-Control-Allow-Origin"] == "*"
    assert cors.headers(None) == {}


@pytest.mark.parametrize(
    "text", ["app.example.com", "https://a.example/path", "https://*.example.com", "null", "ftp://a"]
)
def test_origins_that_are_none(text: str) -> None:
    """An invalid origin stops the start, and the error names it."""
    with pytest.raises(StartupError, match="WORKER_CORS_ORIGINS"):
        Cors.read(text)
