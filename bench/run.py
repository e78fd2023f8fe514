"""One run: all measurements in front of one engine."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from bench import targets
from bench.finding import Measurement
from bench.measurements.burst import burst_ratio
from bench.measurements.engines import engines, workers
from bench.measurements.gap import gap
from bench.measurements.latency import LatencyPair, latency
from bench.measurements.memory import MemoryKind, memory
from bench.measurements.pauses import pauses
from bench.measurements.peers import PeerResult, peers
from bench.measurements.processor import processor_time
from bench.measurements.sandbox import sandbox
from bench.measurements.startup import startup
from bench.plan import BenchPlan
from bench.prompts import Workload, big_file, big_latent, flat_picture, flat_picture_on_top, noise, upload_noise
from bench.rounds import TimedClient
from bench.servers import direct, served
from bench.servers.bucket import bucket
from bench.servers.processes import BenchEngine, BenchWorker, worker
from bench.servers.served import Peer
from bench.servers.vast import through_vast
from worker.engine.protocol.responses import EngineInfo

FRESH, WARM = "ComfyUI, fresh client", "ComfyUI, warm client"
NEW, KEPT = "worker, new connection", "worker, kept connection"
RAW = "worker, answered raw, new connection"
VAST = "worker through Vast's client, router and SDK"
AT_THE_GATEWAY = (LatencyPair(NEW, FRESH, targets.OVER_FRESH), LatencyPair(KEPT, WARM, targets.OVER_WARM))
LARGE = (LatencyPair(NEW, FRESH, targets.LARGE_OVER_FRESH), LatencyPair(KEPT, WARM, None))
SERVED, TO_S3 = MemoryKind("served as a file", targets.MEMORY_MIB), MemoryKind("to S3", targets.S3_MEMORY_MIB)
ON_VAST = (LatencyPair(VAST, FRESH, targets.THROUGH_VAST),)
LARGE_ON_VAST = (LatencyPair(VAST, FRESH, None),)


@dataclass(frozen=True, slots=True)
class Bench:
    """The measurements in front of one engine. `folder` is for all files of the measured processes.

    Only the processes that are being measured run, because ComfyUI reports each job to all its clients.
    """

    engine: BenchEngine
    info: EngineInfo
    plan: BenchPlan
    folder: Path

    async def findings(self) -> AsyncIterator[Measurement]:
        """Yield each measurement once it is complete."""
        *workloads, large = await self._workloads()
        rounds, close = self.plan.rounds, self.plan.close_rounds
        async with self._at_the_gateway() as (clients, pid):
            for finding in await latency(clients, AT_THE_GATEWAY, workloads, rounds):
                yield finding
            for finding in await latency(clients, LARGE, [large], close):
                yield finding
            for finding in await self._raw(clients, workloads[-1], large):
                yield finding
            yield await self._burst({name: clients[name] for name in (FRESH, KEPT)}, targets.BURST)
            yield await self._burst({name: clients[name] for name in (WARM, KEPT)})
            yield await processor_time(KEPT, clients[KEPT], pid, flat_picture, rounds)
        async with through_vast(self.engine, self.folder / "vast") as (run_job, pid):
            clients = {FRESH: direct.fresh_client(self.engine.url), VAST: run_job}
            for finding in await latency(clients, ON_VAST, workloads, rounds):
                yield finding
            for finding in await latency(clients, LARGE_ON_VAST, [large], close):
                yield finding
            yield await self._vast_burst(clients)
            yield await processor_time(VAST, run_job, pid, flat_picture, rounds)
        yield await pauses(self.engine, self.folder / "pauses", rounds, targets.PAUSE_S)
        yield await self._memory()
        yield await self._memory_to_s3()
        yield await self._gap()
        if self.info.embedded:
            yield await self._engines()
            for finding in await sandbox(self.folder / "sandbox", self.plan.flat_jobs, self.plan.close_rounds):
                yield finding
        yield await startup(self.folder / "startup", self.plan.rounds, targets.START_OVER_IMPORTS)

    async def peer_results(self, peers_to_measure: Sequence[Peer]) -> list[PeerResult]:
        """Return the results of this worker and of other servers."""
        workload = Workload("PNG of 2 KB", flat_picture_on_top, self.plan.peer_jobs)
        async with (
            worker(self.engine, self.folder / "worker") as running,
            served.open_session() as session,
        ):
            servers = [_worker_as_peer(running), *peers_to_measure]
            return await peers(direct.fresh_client(self.engine.url), servers, session, workload, self.plan.rounds)

    @asynccontextmanager
    async def _at_the_gateway(self) -> AsyncIterator[tuple[dict[str, TimedClient], int]]:
        """Yield the clients of ComfyUI and of a worker, and the worker's process id."""
        async with (
            worker(self.engine, self.folder / "worker") as running,
            direct.DirectClient(self.engine.url) as client,
            served.open_session() as session,
        ):
            peer = _worker_as_peer(running)
            clients = {
                FRESH: direct.fresh_client(self.engine.url),
                WARM: direct.warm_client(client),
                NEW: served.new_client(peer),
                KEPT: served.kept_client(peer, session),
                RAW: served.new_client(replace(peer, dialect="raw")),
            }
            yield clients, running.pid

    async def _raw(self, clients: Mapping[str, TimedClient], middle: Workload, large: Workload) -> list[Measurement]:
        """Measure images that are returned as a file, without base64."""
        findings = []
        for workload, at_most in ((middle, targets.RAW_OVER_FRESH), (large, targets.LARGE_RAW_OVER_FRESH)):
            pair = LatencyPair(RAW, FRESH, at_most)
            findings += await latency(clients, [pair], [workload], self.plan.close_rounds)
        return findings

    async def _burst(
        self, clients: Mapping[str, TimedClient], at_least: float | None = None, quartile_at_least: float | None = None
    ) -> Measurement:
        """Measure the jobs per second of the second of two clients relative to the first."""
        plan = self.plan
        return await burst_ratio(clients, flat_picture, plan.burst, plan.close_rounds, at_least, quartile_at_least)

    async def _vast_burst(self, clients: Mapping[str, TimedClient]) -> Measurement:
        """Measure the jobs per second through Vast. The target depends on the engine."""
        if self.info.embedded:
            return await self._burst(clients, targets.VAST_BURST_EMBEDDED)
        return await self._burst(clients, targets.VAST_BURST, targets.VAST_BURST_QUARTILE)

    async def _memory(self) -> Measurement:
        """Measure the memory that one large output takes when the worker serves it."""
        mebibytes = self.plan.big_file_mib
        make = partial(big_file if self.info.embedded else big_latent, mebibytes)
        async with worker(self.engine, self.folder / "memory") as running:
            return await memory(running, make, mebibytes, self.plan.rounds, SERVED)

    async def _memory_to_s3(self) -> Measurement:
        """Measure the memory that one large output takes when the worker uploads it to a bucket."""
        mebibytes = self.plan.bucket_file_mib
        make = partial(big_file if self.info.embedded else big_latent, mebibytes)
        async with (
            bucket(self.folder) as settings,
            worker(self.engine, self.folder / "to_s3", env=settings) as running,
        ):
            return await memory(running, make, mebibytes, self.plan.bucket_rounds, TO_S3)

    async def _gap(self) -> Measurement:
        """Measure how long ComfyUI is idle between two jobs while outputs are delivered slowly."""
        async with worker(self.engine, self.folder / "slow", "bench.servers.slow_worker", ()) as slow:
            return await gap(self.engine, slow, self.plan.queued, self.plan.rounds)

    async def _engines(self) -> Measurement:
        """Measure the jobs per second of a worker with several engines relative to one engine."""
        async with workers(self.folder / "engines", (1, self.plan.engines)) as clients:
            return await engines(clients, self.plan.engine_jobs, self.plan.rounds, targets.FOUR_ENGINES)

    async def _workloads(self) -> list[Workload]:
        """Upload the images of the workloads, and return the workloads, smallest image first."""
        plan, url = self.plan, self.engine.url
        middle, large = await upload_noise(url, plan.noise_side), await upload_noise(url, plan.large_side)
        return [
            Workload("PNG of 2 KB", flat_picture, plan.flat_jobs),
            Workload("PNG of 0.6 MB", noise(middle), plan.noise_jobs),
            Workload("PNG of 8 MB", noise(large), plan.large_jobs),
        ]


def _worker_as_peer(running: BenchWorker) -> Peer:
    """Return the worker as a peer."""
    return Peer("comfy-worker", "native", f"{running.url}/generate/sync")
