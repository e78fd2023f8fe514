"""The only module that imports the worker part of Vast's SDK, and types for the public names that we use of it."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, cast

from aiohttp import web
from yarl import URL

from worker.connections import ConnectionLimits
from worker.errors import StartupError
from worker.platforms.vast.limited_port import limit_port
from worker.platforms.vast.openssl import verify_with_openssl
from worker.platforms.vast.reporting.ledger import BackendMetrics
from worker.platforms.vast.reporting.new_work import MetricsEntry
from worker.platforms.vast.sdk_logging import preserve_root_logger, silence
from worker.supervision import Tasks

WORK = ("/generate/sync", "/generate", "/generate/stream")
BENCHMARKED = WORK[0]


class SdkMetrics(BackendMetrics, Protocol):
    """The SDK's metrics."""

    async def aclose(self) -> None: ...


class ModelSession(Protocol):
    """The SDK's HTTP session to the model server."""

    async def post(self, url: str, json: object) -> object: ...

    async def close(self) -> None: ...


class SdkBackend(Protocol):
    """The SDK's backend."""

    metrics: SdkMetrics
    report_addr: str

    session: ModelSession


class SdkWorker(Protocol):
    """The SDK's `Worker`."""

    backend: SdkBackend
    routes: list[web.RouteDef]

    async def run_async(self, *, host: str) -> None: ...


@dataclass(frozen=True, slots=True)
class Callbacks:
    """Functions that the SDK calls: for the workload of a request, for its response, and around its lifetime."""

    workload: Callable[[Mapping[str, Any]], float]
    response: Callable[[object, object], Awaitable[web.StreamResponse]]
    lifecycle: AbstractAsyncContextManager[object]


def build_worker(gateway: str, callbacks: Callbacks) -> SdkWorker:
    """Return the SDK's worker in front of the gateway, not yet running. `gateway` is the gateway's URL.

    It admits all requests in parallel (`max_queue_time` is None), because the gateway has the queue. It has no health
    check, because one failed check marks the SDK's worker as broken forever (T9), and the gateway is in this process.
    The SDK requires a benchmark, but does not run it, because it finds a score. Raises StartupError when the SDK cannot
    be used.
    """
    try:
        # The package itself hides a failed import behind a None (T37).
        from vastai.serverless.server.lib import backend, data_types, metrics, server
        from vastai.serverless.server.worker import BenchmarkConfig, HandlerConfig, Worker, WorkerConfig, log
    except ImportError as error:
        raise StartupError(f"Vast's SDK cannot be imported: {error}; install the extra `vast`") from error
    unused_benchmark = BenchmarkConfig([{}], runs=1, concurrency=1)
    handlers = [
        HandlerConfig(route, **_handler_options(callbacks, unused_benchmark if route == BENCHMARKED else None))
        for route in WORK
    ]
    url = URL(gateway)
    config = WorkerConfig(
        model_server_url=f"{url.scheme}://{url.host}",
        model_server_port=url.port,
        handlers=handlers,
        lifecycle=callbacks.lifecycle,
        max_sessions=-1,
    )
    try:
        with preserve_root_logger():
            worker = Worker(config)
    except (KeyError, ValueError) as error:
        raise StartupError(f"Vast's SDK rejects the environment: {error!r}") from error
    verify_with_openssl(backend)
    # For each request the SDK inspects the signature of this class once per field. Python uses this cached one.
    data_types.AuthData.__signature__ = inspect.signature(data_types.AuthData)
    silence([module.log for module in (backend, data_types, metrics, server)] + [log])
    return cast(SdkWorker, worker)


def _handler_options(callbacks: Callbacks, benchmark: object) -> dict[str, Any]:
    """Return the options of one of the SDK's routes. Only one route has a `benchmark`; it is None for the others."""
    return {
        "allow_parallel_requests": True,
        "max_queue_time": None,
        "workload_calculator": callbacks.workload,
        "response_generator": callbacks.response,
        "benchmark_config": benchmark,
    }


def limit_connections(limits: ConnectionLimits, tasks: Tasks) -> None:
    """Make the SDK open its ports with limits on their connections. Raises StartupError when it cannot."""
    from vastai.serverless.server.lib import server

    limit_port(server, limits, tasks)


def point_at_score(path: Path) -> None:
    """Make the SDK read its benchmark's result from `path`. Raises StartupError when it cannot.

    The SDK's own path is relative to the working directory, which may be read-only.
    """
    from vastai.serverless.server.lib import backend

    if not isinstance(getattr(backend, "BENCHMARK_INDICATOR_FILE", None), str):
        raise StartupError("Vast's SDK stores its benchmark's result in an unknown place")
    backend.BENCHMARK_INDICATOR_FILE = str(path)


def new_entry(**fields: Any) -> MetricsEntry:  # noqa: ANN401 - the SDK's own dataclass
    """Return a new entry for one request in the SDK's metrics, with these fields."""
    from vastai.serverless.server.lib.data_types import RequestMetrics

    return cast(MetricsEntry, RequestMetrics(**fields))
