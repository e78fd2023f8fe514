"""Facts about ComfyUI itself, without what belongs to other callers."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

import orjson
from aiohttp import web

from worker.api.comfy.callers import scope_of
from worker.api.services import SAFE_HEADERS, Services, json_response, services_of
from worker.errors import NotFound
from worker.workflow.catalog.catalog import Catalog
from worker.workflow.catalog.job_folders import response_without_job_folders

MIB = 1024 * 1024


@dataclass(slots=True)
class EncodedCatalog:
    """The response of `/object_info`, kept until the catalog changes."""

    catalog: Catalog | None = None
    data: bytes = b""

    async def of(self, catalog: Catalog) -> bytes:
        """Return all classes of a catalog as JSON. With many packs they have some MB, so this runs in a thread."""
        if self.catalog is not catalog:
            data = await asyncio.to_thread(lambda: orjson.dumps(catalog.to_object_info()))
            self.catalog, self.data = catalog, data
        return self.data


ENCODED_CATALOG = web.AppKey("encoded_catalog", EncodedCatalog)


async def object_info(request: web.Request) -> web.Response:
    """Handle `GET /object_info`: return all node classes."""
    scope_of(request)
    data = await request.app[ENCODED_CATALOG].of(await services_of(request).engines.catalog())
    return web.Response(body=data, headers=SAFE_HEADERS, content_type="application/json")


async def class_info(request: web.Request) -> web.Response:
    """Handle `GET /object_info/{name}`: return one class, or an empty object for an unknown one."""
    scope_of(request)
    name, catalog = request.match_info["name"], await services_of(request).engines.catalog()
    return json_response({name: catalog.object_info(name)} if name in catalog else {})


async def system_stats(request: web.Request) -> web.Response:
    """Handle `GET /system_stats`: return the facts of the first engine, without its command line."""
    scope_of(request)
    stats = await _engine_json(services_of(request), "/system_stats")
    if isinstance(stats, dict) and isinstance(stats.get("system"), dict):
        stats["system"]["argv"] = ["main.py"]
    return json_response(stats)


async def features(request: web.Request) -> web.Response:
    """Handle `GET /features`: return the features of the API."""
    scope_of(request)
    return json_response(features_of(services_of(request)))


def features_of(services: Services) -> dict[str, Any]:
    """Return the features of the API as ComfyUI lists them."""
    return {
        "supports_preview_metadata": True,
        "supports_model_type_tags": True,
        "max_upload_size": services.settings.server.max_body * MIB,
        "extension": {},
        "node_replacements": False,
        "assets": False,
    }


async def embeddings(request: web.Request) -> web.Response:
    """Handle `GET /embeddings`: return the names of textual inversions."""
    scope_of(request)
    return json_response(await _listing(services_of(request), "/embeddings"))


async def model_folders(request: web.Request) -> web.Response:
    """Handle `GET /models`: return the names of the folders of models."""
    scope_of(request)
    return json_response(await _listing(services_of(request), "/models"))


async def models(request: web.Request) -> web.Response:
    """Handle `GET /models/{folder}`: return the files of a folder, without those that jobs have saved."""
    scope_of(request)
    services, folder = services_of(request), request.match_info["folder"]
    if folder not in await _listing(services, "/models"):
        raise NotFound(f"there is no folder of models {folder[:80]!r}; GET /models lists them")
    return json_response(await _listing(services, f"/models/{folder}"))


async def _listing(services: Services, path: str) -> list[str]:
    """Return a list of names from ComfyUI, without names of other jobs' files."""
    names = response_without_job_folders(await _engine_json(services, path))
    saved = await services.engines.saved_models()
    names = saved.response_without_names(names) if saved else names
    return names if isinstance(names, list) else []


async def _engine_json(services: Services, path: str) -> Any:  # noqa: ANN401 - JSON
    """Return a response of the first engine. Raises EngineUnavailable."""
    return await services.engines.first.api.get_json(path)
