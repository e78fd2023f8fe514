"""Pages of other origins and rebound names, on a worker without tokens."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from itertools import product

import pytest
import pytest_asyncio
from pydantic import SecretStr

from tests.api.edge.raw_request import sent
from tests.conftest import Client, worker
from tests.engines import EngineHandle
from tests.workflows import picture

TOKEN = "a-token-of-the-caller"
PAGE = "https://app.example.com"
pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def client(engine: EngineHandle, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Client]:
    """A worker without tokens, as `serve` starts it."""
    async with worker(engine, tmp_path_factory.mktemp("open")) as found:
        yield found


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def guarded(engine: EngineHandle, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Client]:
    """A worker with tokens."""
    tokens = SecretStr(f"alice={TOKEN}")
    async with worker(engine, tmp_path_factory.mktemp("guarded"), tokens=tokens) as found:
        yield found


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def proxied(engine: EngineHandle, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Client]:
    """A worker without tokens behind a proxy, with one allowed origin."""
    given = {"allowed_hosts": "api.example.com, *.corp.example, odd.example:81, 10.0.0.0/8", "cors_origins": PAGE}
    given |= {"trusted_proxies": "127.0.0.1", "public_url": "https://public.example/comfy"}
    async with worker(engine, tmp_path_factory.mktemp("proxied"), **given) as found:
        yield found


HOSTS = {
    "{own}": True,
    "localhost:{port}": True,
    "LOCALHOST:{port}": True,
    "localhost.:{port}": True,
    "app.localhost": True,
    "127.8.9.1:1": True,
    "[::1]:{port}": True,
    "[::ffff:127.0.0.1]:{port}": True,
    "evil.example:{port}": False,
    "localhost.evil.example": False,
    "127.0.0.1.evil.example": False,
    "evillocalhost": False,
    "user@localhost": False,
    "localhost:{port}@evil.example": False,
    "10.0.0.1:{port}": False,
    "[::2]": False,
    "localhost:port": False,
    "localhost:99999": False,
    "localhost/x": False,
    'localhost"><script>': False,
    "2130706433": False,
    "": False,
}
ORIGINS = {
    None: True,
    "http://{host}": True,
    "https://{host}": False,
    "http://evil.example": False,
    "http://localhost:3000": False,
    "http://{host}.evil.example": False,
    "http://{host}@evil.example": False,
    "http://{host}/": False,
    "http://{host} http://evil.example": False,
    "null": False,
    "": False,
}
SITES = {None: True, "same-origin": True, "none": True, "same-site": False, "cross-site": False, "nonsense": False}


@pytest.mark.parametrize("host", HOSTS)
async def test_only_the_workers_own_pages_and_names(client: Client, host: str) -> None:
    """Requests with a foreign Host, Origin or Sec-Fetch-Site are 403."""
    own = client.app.url.removeprefix("http://")
    asked = host.format(own=own, port=own.rpartition(":")[2])
    for origin, site in product(ORIGINS, SITES):
        headers = {"Host": asked}
        if origin is not None:
            headers["Origin"] = origin.format(host=asked)
        if site is not None:
            headers["Sec-Fetch-Site"] = site
        good = HOSTS[host] and (ORIGINS[origin] if origin is not None else SITES[site])
        async with client.http.get(client.app.url + "/queue-info", headers=headers) as answer:
            assert answer.status == (200 if good else 403), headers
            if not good:
                error = (await answer.json())["error"]
                code, cure = ("origin_not_allowed", "CORS_ORIGINS") if HOSTS[host] else ("host_not_allowed", "HOSTS")
                assert (error["code"], cure in error["message"], error["retryable"]) == (code, True, False)


TYPES = (
    *("application/json", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=b"),
    *("application/octet-stream", None),
)
ROUTES = (
    *(("POST", path) for path in ("/generate", "/generate/sync", "/generate/stream", "/validate", "/convert")),
    *(("POST", "/jobs/none/deliver"), ("POST", "/cancel/none"), ("DELETE", "/jobs/none"), ("GET", "/jobs/none/events")),
    *(("GET", path) for path in ("/", "/ready", "/capabilities", "/metrics", "/docs", "/openapi.json", "/templates")),
    *(("OPTIONS", "/generate"), ("HEAD", "/capabilities"), ("PUT", "/nowhere"), ("GET", "/jobs/none/outputs/0")),
)
FOREIGN = (
    {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"},
    {"Origin": "https://evil.example", "Sec-Fetch-Site": "same-origin"},
    {"Origin": "null", "Access-Control-Request-Method": "POST"},
    {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "iframe"},
    {"Host": "evil.example", "Origin": "http://evil.example", "Sec-Fetch-Site": "same-origin"},
)


@pytest.mark.parametrize(("method", "path"), ROUTES)
async def test_no_route_and_no_body_gets_around_it(client: Client, method: str, path: str) -> None:
    """Every route rejects a page of another origin, with any content type, and no job is created."""
    form = b'--b\r\nContent-Disposition: form-data; name="request"\r\n\r\n%b\r\n--b--\r\n'
    for foreign, kind in product(FOREIGN, TYPES):
        body = json.dumps({"workflow": picture()}).encode() if method in {"POST", "PUT"} else None
        headers = foreign | ({"Content-Type": kind} if kind else {})
        body = form % body if body and kind and kind.startswith("multipart") else body
        skip = [] if kind else ["Content-Type"]
        async with client.http.request(
            method, client.app.url + path, data=body, headers=headers, skip_auto_headers=skip
        ) as answer:
            assert answer.status == 403, headers
            assert not [name for name in answer.headers if name.startswith("Access-Control")]
    assert not client.app.manager.admission.load.jobs


@pytest.mark.parametrize("path", ["/health", "/ping"])
async def test_probes_may_use_any_name(client: Client, path: str) -> None:
    """Health checks accept any host name."""
    for foreign in FOREIGN:
        async with client.http.get(client.app.url + path, headers=foreign) as answer:
            assert answer.status == 200
            assert "Access-Control-Allow-Origin" not in answer.headers


@pytest.mark.parametrize("kind", [kind for kind in TYPES if kind is None or "multipart" not in kind])
async def test_clients_without_origin_send_json_under_any_type(client: Client, kind: str | None) -> None:
    """A client without `Origin` may send JSON with any content type."""
    skip, headers = ([] if kind else ["Content-Type"]), ({"Content-Type": kind} if kind else {})
    data = json.dumps({"workflow": picture()})
    url = client.app.url + "/generate/sync"
    async with client.http.post(url, data=data, headers=headers, skip_auto_headers=skip) as answer:
        assert answer.status == 200


async def test_a_link_to_an_output_may_be_followed(client: Client) -> None:
    """A link from another site to an output may be followed. Embedding it, and links to other routes, are rejected."""
    _, job = await client.post("/generate/sync", {"workflow": picture(), "output_format": "url"})
    output, link = job["image"], {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
    for url, method, headers, status in (
        (output, "GET", link | {"Sec-Fetch-Dest": "document"}, 200),
        (output, "HEAD", link | {"Sec-Fetch-Dest": "document"}, 403),
        (output, "GET", link | {"Sec-Fetch-Dest": "iframe"}, 403),
        (output, "GET", link | {"Sec-Fetch-Dest": "document", "Origin": "null"}, 403),
        (output, "GET", link | {"Sec-Fetch-Dest": "document", "Host": "evil.example"}, 403),
        (output, "GET", {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image"}, 403),
        (output, "GET", {"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image"}, 403),
        (client.app.url + "/capabilities", "GET", link | {"Sec-Fetch-Dest": "document"}, 403),
    ):
        async with client.http.request(method, url, headers=headers) as answer:
            assert answer.status == status, headers


@pytest.mark.parametrize("headers", [*FOREIGN, {"Host": 'evil"><script>'}, {"Host": ""}], ids=str)
async def test_with_tokens_nothing_changes(guarded: Client, headers: dict[str, str]) -> None:
    """With tokens, origin and host are not checked."""
    if "Access-Control-Request-Method" in headers:
        headers = {"Origin": "null"}
    async with guarded.http.get(guarded.app.url + "/queue-info", headers=headers) as answer:
        assert answer.status == 401
    async with guarded.http.get(
        guarded.app.url + "/queue-info", headers=headers | {"Authorization": f"Bearer {TOKEN}"}
    ) as answer:
        assert answer.status == 200


@pytest.mark.parametrize(
    ("host", "more", "status"),
    [
        ("api.example.com", {}, 200),
        ("API.example.com.:8443", {}, 200),
        ("gpu.corp.example", {}, 200),
        ("corp.example", {}, 403),
        ("odd.example:81", {}, 200),
        ("odd.example", {}, 403),
        ("10.1.2.3", {}, 200),
        ("public.example", {}, 200),
        ("other.example", {}, 403),
        ("api.example.com", {"X-Forwarded-Host": "other.example"}, 403),
        ("other.example", {"X-Forwarded-Host": "api.example.com"}, 403),
        ("api.example.com", {"X-Forwarded-Host": "other.example, gpu.corp.example"}, 200),
        ("api.example.com", {"Forwarded": "host=other.example"}, 403),
        ("api.example.com", {"Origin": "http://api.example.com"}, 200),
        ("api.example.com", {"Origin": "https://api.example.com"}, 403),
        ("api.example.com", {"Origin": "https://api.example.com", "X-Forwarded-Proto": "https"}, 200),
        (
            "api.example.com",
            {"Origin": "https://gpu.corp.example:444", "X-Forwarded-Host": "gpu.corp.example:444"},
            403,
        ),
        ("localhost", {"Origin": "https://public.example"}, 200),
        ("localhost", {"Origin": PAGE, "Sec-Fetch-Site": "cross-site"}, 200),
        ("localhost", {"Origin": PAGE.replace("https", "http"), "Sec-Fetch-Site": "same-origin"}, 403),
        ("other.example", {"Origin": PAGE}, 403),
    ],
)
async def test_hosts_that_the_operator_names(proxied: Client, host: str, more: dict[str, str], status: int) -> None:
    """Names, wildcards, ports, networks and the public URL are accepted. Behind a proxy both hosts are checked."""
    async with proxied.http.get(proxied.app.url + "/queue-info", headers={"Host": host, **more}) as answer:
        assert answer.status == status


async def test_a_preflight_request_is_answered_for_named_origins_only(proxied: Client) -> None:
    """Preflight requests are allowed for configured origins at own host names only."""
    asks = {"Access-Control-Request-Method": "POST"}
    for headers, status in (
        ({"Origin": PAGE}, 204),
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": PAGE, "Host": "evil.example"}, 403),
    ):
        async with proxied.http.options(proxied.app.url + "/generate", headers=headers | asks) as answer:
            assert (answer.status, answer.headers.get("Access-Control-Allow-Origin")) in (
                (status, None),
                (status, PAGE),
            )


async def test_requests_in_odd_forms(client: Client) -> None:
    """The host in the target is checked like `Host`. Only HTTP/1.0 may omit both."""
    own = client.app.url.removeprefix("http://")
    assert (await sent(client, "/queue-info", version="1.0")).status == 200
    assert (await sent(client, "/queue-info", "Host: evil.example", version="1.0")).status == 403
    assert (await sent(client, f"http://{own}/queue-info", f"Host: {own}")).status == 200
    for target in ("http://evil.example/queue-info", "gopher://evil.example/queue-info", f"http://u@{own}/queue-info"):
        assert (await sent(client, target, f"Host: {own}")).status == 403
        assert (await sent(client, target, version="1.0")).status == 403
    assert (await sent(client, f"http://{own}/queue-info", "Host: evil.example")).status == 403
    for lines in (["Origin: http://{own}", "Origin: http://evil.example"], ["Origin: \xff"], ["Origin:"]):
        answer = await sent(client, "/queue-info", f"Host: {own}", *(line.format(own=own) for line in lines))
        assert answer.status == 403
    assert (
        await sent(client, "/queue-info", f"Host: {own}", "Sec-Fetch-Site: none", "Sec-Fetch-Site: cross-site")
    ).status == 403
