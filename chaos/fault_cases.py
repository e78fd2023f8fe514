"""The cases of the fault matrix: the fault, its settings, and the log message by which the worker must notice it."""

from __future__ import annotations

import signal
from collections.abc import Mapping
from dataclasses import dataclass, field

from chaos.fault_actions import (
    DELAY_S,
    PIECE,
    FaultAction,
    break_autoscaler,
    break_bucket,
    drop_websockets,
    fill_disk,
    fill_disk_repeatedly,
    interrupt_engine,
    limit_memory,
    limit_open_files,
    move_clock,
    no_action,
    restart_worker,
    signal_engine,
    silence_websockets,
    slow_engine_responses,
)
from chaos.testbed.bucket import BucketFault
from chaos.testbed.matrix_testbed import bucket_settings
from worker.simulators.vast_router import RouterFaultConfig

SILENCE_S, NODE_S, POLL_INTERVAL_S = 3.0, 3.0, 0.5


@dataclass(frozen=True, slots=True)
class FaultCase:
    """One row of the matrix."""

    name: str
    action: FaultAction = no_action
    trigger: str = ""
    """A fault that the workflow of a trigger job requests from the embedded engine. Empty means no trigger job."""
    trigger_timeout_s: float | None = None
    """The `timeout_s` of the trigger job."""
    trigger_ends: frozenset[str] = frozenset({"success"})
    """The ends that the trigger job may have: `success` or error codes."""
    log_message: str = ""
    """Part of the message that the worker logs when it notices the fault. Empty means that it need not log one."""
    within_s: float = 0.0
    """Seconds within which the message must be logged."""
    external_engine: bool = False
    """Whether the engine is external, behind a relay (`chaos.testbed.matrix_testbed`)."""
    env: Mapping[str, str] = field(default_factory=dict)
    by_url: bool = False
    """Whether the jobs ask for outputs by URL."""
    external_repair: bool = False
    """Whether only the end of `action` removes the fault, so that the worker cannot serve before it."""
    disk_mib: int = 0
    """Size of the file system of the worker's state. 0 means the usual disk."""
    movable_clock: bool = False
    """Whether the worker reads its wall clock from a file (`chaos.testbed.clock`)."""
    simulated: bool = False
    """Whether the fault only simulates what a GPU would do."""
    may_run_twice: bool = False
    """Whether the worker misses messages of ComfyUI during the fault, so that a job may run twice."""
    clients_leave: bool = False
    """Whether the clients disconnect and come back."""


NO_DRAIN, WITH_BUCKET = {"WORKER_DRAIN": "0.5"}, bucket_settings()
SMALL_DISK = {"WORKER_MIN_FREE_MIB": "1"}
DOWN = RouterFaultConfig(status_status=503, delete_status=503, route_status=503)
HTML_PAGE = RouterFaultConfig(report_page=True)
SLOW = RouterFaultConfig(status_delay_s=2.0, delete_delay_s=2.0)


def _bucket_case(name: str, fault: BucketFault) -> FaultCase:
    """Return a case in which the bucket fails while jobs deliver outputs to it."""
    return FaultCase(
        name, break_bucket(fault), env=WITH_BUCKET, by_url=True, external_engine=True, external_repair=True
    )


CASES = (
    FaultCase("ComfyUI killed", signal_engine(signal.SIGKILL), log_message="has to start again", within_s=1.0),
    FaultCase(
        "ComfyUI stopped (SIGSTOP)",
        signal_engine(signal.SIGSTOP),
        log_message="does not respond",
        within_s=SILENCE_S + 2,
    ),
    FaultCase("out of memory once", trigger="oom", log_message="ran out of memory", within_s=5.0, simulated=True),
    FaultCase("out of memory twice", trigger="oom;times=2", trigger_ends=frozenset({"out_of_memory"}), simulated=True),
    FaultCase(
        "GPU broken (CUDA error)", trigger="cuda", log_message="GPU does not respond", within_s=5.0, simulated=True
    ),
    FaultCase("a job crashes ComfyUI twice", trigger="crash;times=0", trigger_ends=frozenset({"job_crashes_engine"})),
    FaultCase("worker thread dead", trigger="thread", log_message="runs none", within_s=3 * POLL_INTERVAL_S + 4),
    FaultCase("a node hangs", trigger="hang", log_message="makes no progress", within_s=NODE_S + 2),
    FaultCase(
        "a node continues after its job",
        trigger="hang",
        trigger_timeout_s=3.0,
        trigger_ends=frozenset({"timeout"}),
        log_message="a job that has ended still runs",
        within_s=NODE_S + 4,
        env={"WORKER_NODE_SILENCE": "60", "WORKER_NODE_STOP": str(NODE_S)},
    ),
    FaultCase(
        "WebSocket dropped", drop_websockets, log_message="lost the WebSocket", within_s=1.0, external_engine=True
    ),
    FaultCase(
        "WebSocket silent", silence_websockets, log_message="open but silent", within_s=5.0, external_engine=True
    ),
    FaultCase("history late, WebSocket dropped", drop_websockets, trigger="late;seconds=3", external_engine=True),
    FaultCase(
        "ComfyUI responds slowly",
        slow_engine_responses(delay_s=DELAY_S),
        external_engine=True,
        external_repair=True,
    ),
    FaultCase(
        "ComfyUI responds in small pieces",
        slow_engine_responses(piece=PIECE),
        external_engine=True,
        external_repair=True,
    ),
    FaultCase("interrupted by another client", interrupt_engine),
    FaultCase(
        "one of three engines killed",
        signal_engine(signal.SIGKILL),
        log_message="has to start again",
        within_s=1.0,
        env={"WORKER_GPUS": "0,1,2"},
    ),
    FaultCase("worker killed (SIGKILL), ComfyUI survives", restart_worker(signal.SIGKILL), external_engine=True),
    FaultCase("worker killed (SIGKILL), ComfyUI with it", restart_worker(signal.SIGKILL)),
    FaultCase("worker stopped (SIGTERM)", restart_worker(signal.SIGTERM), env=NO_DRAIN),
    _bucket_case("S3 down", BucketFault.DOWN),
    _bucket_case("S3 slow", BucketFault.SLOW),
    _bucket_case("S3 returns 500", BucketFault.SERVER_ERROR),
    _bucket_case("S3 returns an HTML page", BucketFault.HTML_PAGE),
    _bucket_case("S3 returns half an error", BucketFault.TRUNCATED_ERROR),
    _bucket_case("S3 rejects the credentials", BucketFault.WRONG_CREDENTIALS),
    FaultCase(
        "the worker's disk full", fill_disk, disk_mib=8, env=SMALL_DISK, external_engine=True, external_repair=True
    ),
    FaultCase(
        "the worker's disk full at each write",
        fill_disk_repeatedly,
        disk_mib=8,
        env=SMALL_DISK,
        external_engine=True,
        external_repair=True,
    ),
    FaultCase("ComfyUI's disk full", trigger="full", trigger_ends=frozenset({"node_failed"})),
    FaultCase("autoscaler down", break_autoscaler(DOWN), external_engine=True, external_repair=True),
    FaultCase("autoscaler slow", break_autoscaler(SLOW), external_engine=True, external_repair=True),
    FaultCase(
        "autoscaler returns an HTML page", break_autoscaler(HTML_PAGE), external_engine=True, external_repair=True
    ),
    FaultCase("clients disconnect and return", external_engine=True, clients_leave=True),
    FaultCase("few file descriptors left, ComfyUI killed", limit_open_files, external_repair=True),
    FaultCase("little address space left, ComfyUI killed", limit_memory, external_repair=True, may_run_twice=True),
    FaultCase("the worker's clock moved", move_clock, external_engine=True, movable_clock=True),
)
SHORT = frozenset(
    {
        "ComfyUI killed",
        "WebSocket dropped",
        "worker killed (SIGKILL), ComfyUI with it",
        "S3 down",
        "the worker's disk full",
    }
)
"""Names of the cases of a short run."""
