"""Routes that describe the worker."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from tests.conftest import Client, worker
from tests.engines import EngineHandle
from worker import __version__
from worker.api.server import ROUTES, openapi


async def test_alive_and_ready(client: Client) -> None:
    """A connected worker is healthy and ready."""
    assert await client.get("/health") == (200, {"status": "ok", "version": __version__, "jobs": 0})
    assert await client.get("/ready") == (200, {"status": "ready"})


async def test_a_full_or_draining_worker_is_not_ready(engine: EngineHandle, tmp_path: Path) -> None:
    """`/ready` returns the error that a job would get."""
    async with worker(engine, tmp_path, max_queue=0) as client:
        assert (await client.get("/ready"))[0] == 429
        await client.app.manager.close()
        assert (await client.get("/ready"))[0] == 503
        assert (await client.get("/health"))[0] == 200


async def test_capabilities_name_the_engine(client: Client) -> None:
    """The embedded engine is not reported as a GPU."""
    _, body = await client.get("/capabilities")
    assert body["engine"]["embedded"] is True
    assert "embedded" in body["engine"]["device"]
    assert body["node_classes"] > 1000
    assert set(body["dialects"]) == {"native", "vast", "runpod"}


async def test_docs_are_served(client: Client) -> None:
    """The page of `/docs` and the document that it reads are served."""
    async with client.http.get(client.app.url + "/docs") as answer:
        assert (answer.content_type, "openapi.json" in await answer.text()) == ("text/html", True)
    status, body = await client.get("/openapi.json")
    assert (status, body) == (200, openapi())


def references(value: object) -> Iterator[str]:
    """Yield all references in a document."""
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"]
        for inner in value.values():
            yield from references(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from references(inner)


def test_the_document_is_complete() -> None:
    """Every route has a summary in the OpenAPI document, and every reference resolves."""
    found = openapi()
    assert {(path, method.upper()) for path, methods in found["paths"].items() for method in methods} == {
        (route.path, route.method) for route in ROUTES
    }
    for methods in found["paths"].values():
        assert all(operation["summary"] and "`" not in operation["summary"] for operation in methods.values())
    schemas = found["components"]["schemas"]
    assert {reference.rpartition("/")[2] for reference in references(found)} <= set(schemas)
