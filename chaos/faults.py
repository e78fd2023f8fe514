"""The faults of the matrix: when each strikes, and what has to be noticed of it."""

from __future__ import annotations

import signal
from collections.abc import Mapping
from dataclasses import dataclass, field

from chaos.strikes import (
    DELAY_S,
    PIECE,
    Strike,
    autoscaler_is,
    bucket_is,
    deafen_sockets,
    drop_sockets,
    engine_answers,
    engine_gets,
    few_files,
    fill_disk,
    fill_disk_again_and_again,
    interrupt,
    little_memory,
    move_clock,
    nothing,
    worker_gets,
)
from chaos.testbed.bucket import Mood
from chaos.testbed.testbed import bucket_settings
from worker.simulators.vast_router import RouterFaultConfig

SILENCE_S, NODE_S, LOOK_S = 3.0, 3.0, 0.5


@dataclass(frozen=True, slots=True)
class FaultCase:
    """`trigger` is a fault that the engine is asked for in a workflow, `ends` how that one's job may end, and
    `trigger_timeout_s` its `timeout_s`.

    `sign` is what the worker's log says when it has noticed, `within_s` how soon it has to. `apart`: see `testbed`.
    `outside`: somebody else mends it, at the end of `strike`; only then the worker can serve again.
    """

    name: str
    strike: Strike = nothing
    trigger: str = ""
    trigger_timeout_s: float | None = None
    ends: frozenset[str] = frozenset({"success"})
    sign: str = ""
    within_s: float = 0.0
    apart: bool = False
    env: Mapping[str, str] = field(default_factory=dict)
    by_url: bool = False
    outside: bool = False
    disk_mib: int = 0
    clock: bool = False
    """The worker's wall clock is a file's (`chaos.testbed.clock`)."""
    simulated: bool = False
    deaf: bool = False
    """The worker can't hear all that ComfyUI says meanwhile, so that a job may run twice."""
    gone: bool = False
    """The clients leave and come back."""


ALONE, WITH_BUCKET = {"WORKER_DRAIN": "0.5"}, bucket_settings()
DOWN = RouterFaultConfig(status_status=503, delete_status=503, route_status=503)
PAGE = RouterFaultConfig(report_page=True)
SLOW = RouterFaultConfig(status_delay_s=2.0, delete_delay_s=2.0)
CASES = (
    FaultCase("ComfyUI killed", engine_gets(signal.SIGKILL), sign="has to start again", within_s=1.0),
    FaultCase("ComfyUI stopped (SIGSTOP)", engine_gets(signal.SIGSTOP), sign="does not answer", within_s=SILENCE_S + 2),
    FaultCase("out of memory once", trigger="oom", sign="ran out of memory", within_s=5.0, simulated=True),
    FaultCase("out of memory twice", trigger="oom;times=2", ends=frozenset({"out_of_memory"}), simulated=True),
    FaultCase("GPU broken (CUDA error)", trigger="cuda", sign="GPU does not respond", within_s=5.0, simulated=True),
    FaultCase("a job crashes ComfyUI twice", trigger="crash;times=0", ends=frozenset({"job_crashes_engine"})),
    FaultCase("worker thread dead", trigger="thread", sign="runs none", within_s=3 * LOOK_S + 4),
    FaultCase("a node hangs", trigger="hang", sign="makes no progress", within_s=NODE_S + 2),
    FaultCase(
        "a node goes on after its job",
        trigger="hang",
        trigger_timeout_s=3.0,
        ends=frozenset({"timeout"}),
        sign="a job that has ended still runs",
        within_s=NODE_S + 4,
        env={"WORKER_NODE_SILENCE": "60", "WORKER_NODE_STOP": str(NODE_S)},
    ),
    FaultCase("socket dropped", drop_sockets, sign="lost the WebSocket", within_s=1.0, apart=True),
    FaultCase("socket deaf", deafen_sockets, sign="open but silent", within_s=5.0, apart=True),
    FaultCase("history late, socket dropped", drop_sockets, trigger="late;seconds=3", apart=True),
    FaultCase("ComfyUI answers slowly", engine_answers(delay_s=DELAY_S), apart=True, outside=True),
    FaultCase("ComfyUI answers in pieces", engine_answers(piece=PIECE), apart=True, outside=True),
    FaultCase("interrupted by somebody else", interrupt),
    FaultCase(
        "one of three engines killed",
        engine_gets(signal.SIGKILL),
        sign="has to start again",
        within_s=1.0,
        env={"WORKER_GPUS": "0,1,2"},
    ),
    FaultCase("worker killed (SIGKILL), ComfyUI lives", worker_gets(signal.SIGKILL), apart=True),
    FaultCase("worker killed (SIGKILL), ComfyUI with it", worker_gets(signal.SIGKILL)),
    FaultCase("worker told to end (SIGTERM)", worker_gets(signal.SIGTERM), env=ALONE),
    FaultCase("S3 down", bucket_is(Mood.DOWN), env=WITH_BUCKET, by_url=True, apart=True, outside=True),
    FaultCase("S3 slow", bucket_is(Mood.SLOW), env=WITH_BUCKET, by_url=True, apart=True, outside=True),
    FaultCase("S3 answers 500", bucket_is(Mood.BROKEN), env=WITH_BUCKET, by_url=True, apart=True, outside=True),
    FaultCase("S3 answers a page", bucket_is(Mood.PAGE), env=WITH_BUCKET, by_url=True, apart=True, outside=True),
    FaultCase("S3 answers half an error", bucket_is(Mood.CUT), env=WITH_BUCKET, by_url=True, apart=True, outside=True),
    FaultCase(
        "S3 refuses the credentials", bucket_is(Mood.STRICT), env=WITH_BUCKET, by_url=True, apart=True, outside=True
    ),
    FaultCase(
        "the worker's disk full", fill_disk, disk_mib=8, env={"WORKER_MIN_FREE_MIB": "1"}, apart=True, outside=True
    ),
    FaultCase(
        "the worker's disk full at each write",
        fill_disk_again_and_again,
        disk_mib=8,
        env={"WORKER_MIN_FREE_MIB": "1"},
        apart=True,
        outside=True,
    ),
    FaultCase("ComfyUI's disk full", trigger="full", ends=frozenset({"node_failed"})),
    FaultCase("autoscaler down", autoscaler_is(DOWN), apart=True, outside=True),
    FaultCase("autoscaler slow", autoscaler_is(SLOW), apart=True, outside=True),
    FaultCase("autoscaler answers a page", autoscaler_is(PAGE), apart=True, outside=True),
    FaultCase("clients gone", apart=True, gone=True),
    FaultCase("few file descriptors, ComfyUI killed", few_files, outside=True),
    FaultCase("little address space, ComfyUI killed", little_memory, outside=True, deaf=True),
    FaultCase("the worker's clock moved", move_clock, apart=True, clock=True),
)
SHORT = frozenset(
    {
        "ComfyUI killed",
        "socket dropped",
        "worker killed (SIGKILL), ComfyUI with it",
        "S3 down",
        "the worker's disk full",
    }
)
