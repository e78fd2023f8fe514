"""Routes that describe the worker itself."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

from aiohttp import web

from worker import __version__
from worker.api.edge.authorization import authorization_of
from worker.api.services import OPENAPI, json_response, services_of
from worker.dialects import DIALECTS
from worker.engine.engine import Engine
from worker.engine.pool import EnginePool
from worker.engine.process.sandbox.support import engines_sandbox
from worker.errors import EngineUnavailable, HandlersUnavailable, ModelsDownloading


async def health(request: web.Request) -> web.Response:
    """Handle `GET /health`: return 200 while the process works or recovers itself, 503 if only a restart helps.

    While ComfyUI is starting, the status is 200 too. `/ready` reports whether ComfyUI can run jobs.
    """
    services = services_of(request)
    failure, sandbox = services.permanent_failure(), engines_sandbox(services.settings)
    body: dict[str, object] = {"status": "ok", "version": __version__, "jobs": services.manager.admission.load.jobs}
    if failure is not None:
        body |= {"status": "failing", "reason": failure}
    if sandbox is not None:
        body["sandbox"] = sandbox.as_dict()
    if services.machine.slow_engines:
        body["slow_engines"] = {name: round(factor, 2) for name, factor in services.machine.slow_engines.items()}
    if services.manager.set_aside:
        body["jobs_set_aside"] = services.manager.set_aside
    if services.state_damage:
        body["state_set_aside"] = list(services.state_damage)
    return json_response(body, 200 if failure is None else 503)


async def ready(request: web.Request) -> web.Response:
    """Handle `GET /ready`: return 200 if a job that is sent now would run, else an error."""
    services = services_of(request)
    services.manager.admit()  # raises if no further job is accepted
    services.models.check_ready()
    if services.handlers is not None:
        services.handlers.pool.check_loaded()
    if not services.engines.connected:
        raise EngineUnavailable("ComfyUI is not connected")
    reason = services.engines.block_reason
    if reason is not None:
        raise EngineUnavailable(reason)
    return json_response({"status": "ready"})


async def ping(request: web.Request) -> web.Response:
    """Handle `GET /ping`: return 200 if the worker takes requests, 204 while it starts, 503 otherwise.

    This is the health check of load balancers. A full queue is healthy: the worker itself returns 429 then.
    """
    services = services_of(request)
    if services.manager.draining or services.permanent_failure() is not None or services.engines.block_reason:
        return json_response({"status": "unavailable"}, 503)
    try:
        services.models.check_ready()
        if services.handlers is not None:
            services.handlers.pool.check_loaded()
    except (ModelsDownloading, HandlersUnavailable):
        return web.Response(status=204)
    return json_response({"status": "ready"}) if services.engines.connected else web.Response(status=204)


async def capabilities(request: web.Request) -> web.Response:
    """Handle `GET /capabilities`: return the engine, its node classes and the limits of this worker."""
    services = services_of(request)
    services.access.authenticate(authorization_of(request))
    info, catalog = await services.engines.info(), await services.engines.catalog()
    settings, failed, gpus = services.settings, services.engines.failed_packs, services.machine.gpus.report()
    return json_response(
        {
            "version": __version__,
            "engine": {"version": info.version, "device": info.device, "embedded": info.embedded},
            "engines": [_engine(services.engines, engine) for engine in services.engines.engines],
            "gpus": [state.as_dict() for state in gpus.gpus],
            "gpu_driver": gpus.driver or None,
            "start_s": dict(services.timing.seconds),
            "node_classes": len(catalog),
            "failed_packs": None if failed is None else [pack.as_dict() for pack in failed],
            "dialects": [dialect.name for dialect in DIALECTS],
            "workflow_formats": ["api", "editor"],
            "output_formats": ["base64", "url"]
            if services.delivery.storage.external or services.traits.output_urls
            else ["base64"],
            "raw_answers": services.traits.raw_answers,
            "limits": {
                "body_mib": settings.server.max_body,
                "jobs": settings.limits.max_queue,
                "job_timeout_s": settings.limits.job_timeout_s,
                "sync_limit_s": services.sync_limit_s or 0.0,
                "result_ttl_s": settings.outputs.result_ttl_s,
            },
        }
    )


def _engine(engines: EnginePool, engine: Engine) -> dict[str, object]:
    """Return name, GPU, state and number of jobs of one engine."""
    return {"name": engine.name, "gpu": engine.config.gpu, "state": _state(engine), "jobs": engines.job_count(engine)}


def _state(engine: Engine) -> str:
    """Return the word for the state of an engine."""
    if engine.final_error:
        return "given up"
    if not engine.connected:
        return "starting"
    return "ready" if engine.free else "stopping a node"


async def openapi(request: web.Request) -> web.Response:
    """Handle `GET /openapi.json`: return the description of all routes for programs."""
    return json_response(request.app[OPENAPI]())


async def docs(request: web.Request) -> web.Response:
    """Handle `GET /docs`: return the description of all routes as a page for people."""
    return web.Response(text=_docs_page(), content_type="text/html")


@cache
def _docs_page() -> str:
    """Return the HTML of the page that describes the routes."""
    return files("worker.api").joinpath("docs.html").read_text("utf-8")
