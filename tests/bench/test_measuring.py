"""Every measurement once, as small as it can be: that it measures, not what."""

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
from bench.servers.processes import BenchEngine, NotStartedError, answering, running, worker
from bench.servers.served import Peer
from bench.servers.vast import through_vast
from tests.conftest import Client
from tests.conftest import worker as open_worker
from tests.engines import EngineHandle

FLAT = Workload("flat", flat_picture, 2)


@pytest.fixture
def asked(engine: EngineHandle) -> Iterator[BenchEngine]:
    return BenchEngine(engine.url, engine.base)


async def test_servers_take_turns(asked: BenchEngine, engine: EngineHandle, tmp_path: Path) -> None:
    """The engine itself and the worker in its dialects are timed for the same kind of job, once a round."""
    async with (
        open_worker(engine, tmp_path, input_folders="input") as client,
        direct.DirectClient(asked.url) as warm,
        served.open_session() as session,
    ):
        url = f"{client.app.url}/generate/sync"
        asks = {
            "fresh": direct.fresh(asked.url),
            "warm": direct.warm(warm),
            "new": served.fresh(Peer("new", "native", url)),
            **{name: served.kept(Peer(name, name, url), session) for name in ("native", "vast", "runpod")},
        }
        times = await medians(asks, Workload("noise", noise(await upload_noise(asked.url, 32)), 2), rounds=2)
        assert {name: len(found) for name, found in times.items()} == dict.fromkeys(asks, 2)
        assert all(0 < seconds < 10 for found in times.values() for seconds in found)
        rates = await burst(asks, flat_picture, jobs=3, rounds=1)
        assert all(rate > 0 for (rate,) in rates.values())


async def test_several_engines_are_measured_against_one(tmp_path: Path) -> None:
    """Each of two workers gets as many jobs as its engines ask for, and two engines finish more in a second."""
    async with workers(tmp_path, (1, 2)) as asks:
        found = await engines(asks, jobs=3, rounds=1, at_least=1.2)
    assert "2 engines behind one worker" in found.what
    assert not found.missed, found


async def test_a_failed_job_ends_the_run(asked: BenchEngine, client: Client) -> None:
    """A figure of jobs that failed would be no figure."""
    async with served.open_session() as session:
        with pytest.raises(direct.JobFailedError, match="404"):
            await Peer("wrong", "native", f"{client.app.url}/nowhere").ask(session, flat_picture())
    async with direct.DirectClient(asked.url) as warm:
        prompt = flat_picture()
        prompt["3"] = {"class_type": "EmbeddedFail", "inputs": {"image": ["1", 0], "message": "asked to"}}
        prompt["2"]["inputs"]["images"] = ["3", 0]
        with pytest.raises(direct.JobFailedError, match="asked to"):
            await warm.run(prompt)


async def test_a_process_that_does_not_start_says_why(tmp_path: Path) -> None:
    """Nobody waits for what has ended, and its last words are the reason."""
    async with running([sys.executable, "-c", "import sys; sys.exit('no port')"], tmp_path / "log") as started:
        with pytest.raises(NotStartedError, match="no port"):
            await answering("http://127.0.0.1:9", started)


async def test_peers_stand_beside_a_direct_client(asked: BenchEngine, client: Client) -> None:
    """Each in turns with it: a row tells both times, and one over the other."""
    async with served.open_session() as session:
        itself = Peer("itself", "native", f"{client.app.url}/generate/sync")
        rows = await peers(direct.fresh(asked.url), [itself], session, FLAT, rounds=1)
    assert [row.name for row in rows] == ["itself"]
    assert rows[0].ratio.median == pytest.approx(rows[0].seconds.median / rows[0].direct.median)
    assert rows[0].burst.median > 0


async def test_the_gap_is_read_from_the_engines_own_clock(asked: BenchEngine, tmp_path: Path) -> None:
    """Deliveries of a second each don't show between the jobs; the limit is set by the engine's own gap."""
    async with worker(asked, tmp_path, "bench.servers.slow_worker", ()) as slow:
        found = await gap(asked, slow, jobs=3, rounds=1)
    assert found.measured.median < 500
    assert found.at_most is not None
    assert found.at_most >= 2


async def test_memory_is_that_of_the_workers_process(asked: BenchEngine, tmp_path: Path) -> None:
    """A file that the worker streams is counted, and every byte of it arrives."""
    async with worker(asked, tmp_path) as running:
        found = await memory(running, partial(big_file, 16), 16, rounds=1, kind=MemoryKind("served", 32))
    assert 0 <= found.measured.median < 200


async def test_memory_of_a_delivery_to_s3(asked: BenchEngine, tmp_path: Path) -> None:
    """The same file, through a bucket: every byte of it comes out of there."""
    async with bucket(tmp_path) as settings, worker(asked, tmp_path, env=settings) as running:
        found = await memory(running, partial(big_file, 16), 16, rounds=1, kind=MemoryKind("to S3", 64))
    assert 0 <= found.measured.median < 200


async def test_a_start_is_counted_in_imports(tmp_path: Path) -> None:
    """It takes at least as long as importing what it is made of."""
    assert (await startup(tmp_path, rounds=1, at_most=3)).measured.median > 0.5


async def test_vasts_own_client_is_timed(asked: BenchEngine, tmp_path: Path) -> None:
    """Through the local router and the SDK's worker, to the same engine."""
    async with through_vast(asked, tmp_path) as (ask, pid):
        assert 0 < await ask(flat_picture()) < 10
        finding = await processor_time("through Vast", ask, pid, flat_picture, rounds=1, jobs=2)
        assert 0 < finding.measured.median < 1000


async def test_pauses_of_a_worker_in_this_process(asked: BenchEngine, tmp_path: Path) -> None:
    """The client is a process of its own, and its job is done."""
    finding = await pauses(asked, tmp_path, rounds=1, at_most_s=10, mebibytes=1)
    assert 0 < finding.measured.median < 10_000
    assert not finding.missed
