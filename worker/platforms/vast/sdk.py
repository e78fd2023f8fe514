"""The one place that imports Vast's SDK, and the part of it that we use, by its public names."""

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
from worker.platforms.vast.reporting.metrics import MetricsEntry
from worker.platforms.vast.sdk_logging import preserve_root_logger, silence
from worker.supervision import Tasks

WORK = ("/generate/sync", "/generate", "/generate/stream")
BENCHMARKED = WORK[0]


class SdkMetrics(BackendMetrics, Protocol):
    async def aclose(self) -> None: ...


class ModelSession(Protocol):
    """The SDK's HTTP session to the model server."""

    async def post(self, url: str, json: object) -> object: ...

    async def close(self) -> None: ...


class Backend(Protocol):
    metrics: SdkMetrics
    report_addr: str

    session: ModelSession


class SdkWorker(Protocol):
    backend: Backend
    routes: list[web.RouteDef]

    async def run_async(self, *, host: str) -> None: ...


@dataclass(frozen=True, slots=True)
class Callbacks:
    """What the SDK asks back: the workload of a request, and its answer."""

    workload: Callable[[Mapping[str, Any]], float]
    response: Callable[[object, object], Awaitable[web.StreamResponse]]
    lifecycle: AbstractAsyncContextManager[object]


def build_worker(gateway: str, callbacks: Callbacks, benchmark: Mapping[str, Any]) -> SdkWorker:
    """The SDK's worker in front of the gateway, not yet running. Raises StartupError.

    It admits everything (`max_queue_time` None, all requests in parallel): the gateway has the queue. It has no health
    check: one failed look marks the SDK's worker as broken for life (T9), and the gateway lives in this same process.
    `benchmark` is never run where the score is handed over; were it, it would measure the same work.
    """
    try:
        # The package itself hides a failed import behind a None (T37).
        from vastai.serverless.server.lib import backend, data_types, metrics, server
        from vastai.serverless.server.worker import BenchmarkConfig, HandlerConfig, Worker, WorkerConfig, log
    except ImportError as error:
        raise StartupError(f"Vast's SDK can't be imported: {error}; install the extra `vast`") from error
    fallback = BenchmarkConfig([dict(benchmark)], runs=1, concurrency=1)
    handlers = [
        HandlerConfig(route, **_handled(callbacks, fallback if route == BENCHMARKED else None)) for route in WORK
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
        raise StartupError(f"Vast's SDK refuses the environment: {error!r}") from error
    verify_with_openssl(backend)
    # Per request the SDK inspects the class of `auth_data` once for each field; Python keeps what it finds here.
    data_types.AuthData.__signature__ = inspect.signature(data_types.AuthData)
    silence([module.log for module in (backend, data_types, metrics, server)] + [log])
    return cast(SdkWorker, worker)


def _handled(callbacks: Callbacks, benchmark: object) -> dict[str, Any]:
    return {
        "allow_parallel_requests": True,
        "max_queue_time": None,
        "workload_calculator": callbacks.workload,
        "response_generator": callbacks.response,
        "benchmark_config": benchmark,
    }


def limit_connections(limits: ConnectionLimits, tasks: Tasks) -> None:
    """Have the SDK open its ports with limits on their connections. Raises StartupError."""
    from vastai.serverless.server.lib import server

    limit_port(server, limits, tasks)


def point_at_score(path: Path) -> None:
    """Have the SDK read its benchmark's result from `path`. Raises StartupError.

    Its module names the file relative to the working directory, which is the whole process's and may be read-only.
    """
    from vastai.serverless.server.lib import backend

    if not isinstance(getattr(backend, "BENCHMARK_INDICATOR_FILE", None), str):
        raise StartupError("Vast's SDK keeps its benchmark's result elsewhere than this worker expects")
    backend.BENCHMARK_INDICATOR_FILE = str(path)


def new_entry(**fields: Any) -> MetricsEntry:  # noqa: ANN401 - the SDK's own dataclass
    """One request among the SDK's numbers."""
    from vastai.serverless.server.lib.data_types import RequestMetrics

    return cast(MetricsEntry, RequestMetrics(**fields))
