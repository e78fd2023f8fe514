"""Every measurement of the benchmark runs once, with as little work as possible."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from bench.measurements.burst import burst
from bench.measurements.engines import engines, workers
from bench.measurements.gap import gap
from bench.measurements.memory import MemoryKind, memory
from bench.measurements.pauses import pauses
from bench.measurements.peers import peers
from bench.measurements.processor import processor_time
from bench.measurements.startup import startup
from bench.prompts import Workload, big_file, flat_picture, noise, upload_noise
from bench.rounds import medians
from bench.servers import direct, served
from bench.servers.bucket import bucket
from bench.servers.processes import BenchEngine, NotStartedError, running, wait_until_ready, worker
from bench.servers.served import Peer
from bench.servers.vast import through_vast
from tests.conftest import Client
from tests.conftest import worker as open_worker
from tests.engines import EngineHandle

FLAT = Workload("flat", flat_picture, 2)


@pytest.fixture
def bench_engine(engine: EngineHandle) -> Iterator[BenchEngine]:
    return BenchEngine(engine.url, engine.base)


async def test_servers_take_turns(bench_engine: BenchEngine, engine: EngineHandle, tmp_path: Path) -> None:
    """`medians` times ComfyUI and the worker in each dialect, once a round."""
    async with (
        open_worker(engine, tmp_path, input_folders="input") as client,
        direct.DirectClient(bench_engine.url) as warm,
        served.open_session() as session,
    ):
        url = f"{client.app.url}/generate/sync"
        clients = {
            "fresh": direct.fresh_client(bench_engine.url),
            "warm": direct.warm_client(warm),
            "new": served.new_client(Peer("new", "native", url)),
            **{name: served.kept_client(Peer(name, name, url), session) for name in ("native", "vast", "runpod")},
        }
        times = await medians(clients, Workload("noise", noise(await upload_noise(bench_engine.url, 32)), 2), rounds=2)
        assert {name: len(found) for name, found in times.items()} == dict.fromkeys(clients, 2)
        assert all(0 < seconds < 10 for found in times.values() for seconds in found)
        rates = await burst(clients, flat_picture, jobs=3, rounds=1)
        assert all(rate > 0 for (rate,) in rates.values())


async def test_several_engines_are_measured_against_one(tmp_path: Path) -> None:
    """`engines` measures more jobs per second with two engines than with one."""
    async with workers(tmp_path, (1, 2)) as clients:
        found = await engines(clients, jobs=3, rounds=1, at_least=1.2)
    assert "2 engines behind one worker" in found.name
    assert not found.missed, found


async def test_a_failed_job_ends_the_run(bench_engine: BenchEngine, client: Client) -> None:
    """A failed job raises JobFailedError, for a peer and for a direct client."""
    async with served.open_session() as session:
        with pytest.raises(direct.JobFailedError, match="404"):
            await Peer("wrong", "native", f"{client.app.url}/nowhere").run_job(session, flat_picture())
    async with direct.DirectClient(bench_engine.url) as warm:
        prompt = flat_picture()
        prompt["3"] = {"class_type": "EmbeddedFail", "inputs": {"image": ["1", 0], "message": "asked to"}}
        prompt["2"]["inputs"]["images"] = ["3", 0]
        with pytest.raises(direct.JobFailedError, match="asked to"):
            await warm.run(prompt)


async def test_a_process_that_does_not_start_says_why(tmp_path: Path) -> None:
    """`wait_until_ready` raises NotStartedError with the log of a process that has ended."""
    async with running([sys.executable, "-c", "import sys; sys.exit('no port')"], tmp_path / "log") as started:
        with pytest.raises(NotStartedError, match="no port"):
            await wait_until_ready("http://127.0.0.1:9", started)


async def test_peers_stand_beside_a_direct_client(bench_engine: BenchEngine, client: Client) -> None:
    """`peers` returns the time of a server, that of a direct client and their ratio."""
    async with served.open_session() as session:
        itself = Peer("itself", "native", f"{client.app.url}/generate/sync")
        rows = await peers(direct.fresh_client(bench_engine.url), [itself], session, FLAT, rounds=1)
    assert [row.name for row in rows] == ["itself"]
    assert rows[0].ratio.median == pytest.approx(rows[0].seconds.median / rows[0].direct.median)
    assert rows[0].burst.median > 0


async def test_the_gap_is_read_from_the_engines_own_clock(bench_engine: BenchEngine, tmp_path: Path) -> None:
    """`gap` measures no pause between jobs when the delivery takes a second."""
    async with worker(bench_engine, tmp_path, "bench.servers.slow_worker", ()) as slow:
        found = await gap(bench_engine, slow, jobs=3, rounds=1)
    assert found.measured.median < 500
    assert found.at_most is not None
    assert found.at_most >= 2


async def test_memory_is_that_of_the_workers_process(bench_engine: BenchEngine, tmp_path: Path) -> None:
    """`memory` measures the worker's memory while it serves a file."""
    async with worker(bench_engine, tmp_path) as running:
        found = await memory(running, partial(big_file, 16), 16, rounds=1, kind=MemoryKind("served", 32))
    assert 0 <= found.measured.median < 200


async def test_memory_of_a_delivery_to_s3(bench_engine: BenchEngine, tmp_path: Path) -> None:
    """`memory` measures the worker's memory while it delivers a file to a bucket."""
    async with bucket(tmp_path) as settings, worker(bench_engine, tmp_path, env=settings) as running:
        found = await memory(running, partial(big_file, 16), 16, rounds=1, kind=MemoryKind("to S3", 64))
    assert 0 <= found.measured.median < 200


async def test_a_start_is_counted_in_imports(tmp_path: Path) -> None:
    """`startup` returns the time of a start relative to that of its imports."""
    assert (await startup(tmp_path, rounds=1, at_most=3)).measured.median > 0.5


async def test_vasts_own_client_is_timed(bench_engine: BenchEngine, tmp_path: Path) -> None:
    """`through_vast` times a job through Vast's client, the local router and the SDK's worker."""
    async with through_vast(bench_engine, tmp_path) as (run_job, pid):
        assert 0 < await run_job(flat_picture()) < 10
        finding = await processor_time("through Vast", run_job, pid, flat_picture, rounds=1, jobs=2)
        assert 0 < finding.measured.median < 1000


async def test_pauses_of_a_worker_in_this_process(bench_engine: BenchEngine, tmp_path: Path) -> None:
    """`pauses` measures a pause of the event loop while another process sends a job."""
    finding = await pauses(bench_engine, tmp_path, rounds=1, at_most_s=10, mebibytes=1)
    assert 0 < finding.measured.median < 10_000
    assert not finding.missed
