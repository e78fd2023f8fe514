"""What the simulation assumes about the closed parts of RunPod: its queue, its gateway and its scheduler.

Each field names its source: RunPod's documentation or SDK, reports of users, or `unknown` for a guess. Where the
behavior is unknown, the default is the one that is worse for the worker. docs/runpod-stand-in.md lists them.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Self, get_type_hints

MB = 1_000_000


@dataclass(frozen=True, slots=True)
class RunpodAssumptions:
    """Switches for the behavior of the closed parts. Durations are seconds, sizes are bytes."""

    take_hold_s: Annotated[float, "unknown: seconds for which a take without a job is held; the SDK allows 90"] = 20.0
    stop_hold_s: Annotated[float, "unknown: seconds for which job-stop without a signal is held"] = 20.0
    empty_status: Annotated[int, "unknown: response to a take or job-stop without a result; the SDK knows 204"] = 204
    take_without_key_status: Annotated[int, "users' note: a take without the key gets 204"] = 204
    run_limit: Annotated[int, "docs, operation-reference: body and result of /run"] = 10 * MB
    runsync_limit: Annotated[int, "docs, operation-reference: body and result of /runsync"] = 20 * MB
    result_limit_by_id: Annotated[bool, "unknown: results of /run and /runsync have different limits"] = True
    oversized_result_completes: Annotated[bool, "users: 400, and the job is COMPLETED without output"] = True
    oversized_request_status: Annotated[int, "unknown: status for a request body above the limit"] = 400
    chunk_limit: Annotated[int, "docs, handler functions: one chunk of a stream"] = MB
    keeps_output_beside_error: Annotated[bool, "unknown: whether `output` stays beside `error`"] = True
    accepts_late_results: Annotated[bool, "unknown: a result from a worker that has lost the job counts"] = False
    result_answer: Annotated[str, "unknown: body of the response to a result"] = ""
    adds_unknown_key: Annotated[bool, "unknown: whether taken jobs have more keys than the SDK knows"] = False
    shows_worker_id: Annotated[bool, "docs, job states: `workerId` in the state of a job"] = True
    chunks_become_output: Annotated[bool, "unknown: the chunks of a stream replace an empty output"] = False
    late_result_status: Annotated[int, "unknown: response to a result that is ignored"] = 200
    unknown_job_status: Annotated[int, "unknown: response to a result of an unknown or expired job"] = 404
    late_progress_reopens_job: Annotated[bool, "runpod-python issue 250: the job is IN_PROGRESS again"] = True
    requeues_undelivered_jobs: Annotated[bool, "unknown: a job whose take response is not sent is queued again"] = False
    execution_timeout_s: Annotated[float, "docs, endpoint configuration: default of the console"] = 600.0
    ping_starts_execution: Annotated[bool, "unknown: its time counts from the first ping with the job"] = False
    least_execution_timeout_s: Annotated[float, "docs: minimum of `executionTimeout`"] = 5.0
    ttl_s: Annotated[float, "docs, send-requests: from the submission, also for running jobs"] = 86_400.0
    run_retention_s: Annotated[float, "docs, operation-reference: after completion"] = 1800.0
    runsync_retention_s: Annotated[float, "docs, operation-reference: after completion"] = 60.0
    lost_after_s: Annotated[float, "unknown: seconds without a ping after which a worker is lost"] = 30.0
    exit_requeues: Annotated[bool, "unknown: jobs of a container that ended are queued again at once"] = True
    requeue_limit: Annotated[int, "unknown: how often a job whose worker was lost is queued again"] = 3
    unhealthy_workers_get_jobs: Annotated[bool, "unknown: takes of a worker that reported itself unhealthy"] = False
    stopping_workers_get_jobs: Annotated[bool, "unknown: an open take gets a job after SIGTERM to its worker"] = True
    sends_sigterm: Annotated[bool, "unknown: SIGTERM before SIGKILL at scale-down and stopPod"] = True
    stop_grace_s: Annotated[float, "unknown: seconds from SIGTERM to SIGKILL at scale-down and stopPod"] = 30.0
    restart_pause_s: Annotated[float, "unknown: first pause before a worker that ended is started again"] = 0.5
    webhook_tries: Annotated[int, "docs, send-requests: one delivery and two more tries"] = 3
    webhook_pause_s: Annotated[float, "docs, send-requests: seconds between the tries"] = 10.0
    passes_authorization: Annotated[bool, "unknown: Authorization of a client reaches a load-balanced worker"] = False
    load_balancer_wait_s: Annotated[float, "docs, load balancing: wait for a ready worker"] = 120.0
    load_balancer_limit_s: Annotated[float, "docs, load balancing: processing time of a request"] = 330.0
    load_balancer_body_limit: Annotated[int, "docs, load balancing: request and response"] = 30 * MB
    no_workers_status: Annotated[int, "unknown: status of `no workers available`"] = 503
    load_balancer_limit_status: Annotated[int, "unknown: status after the processing time"] = 504
    load_balancer_body_status: Annotated[int, "unknown: status for a body above the limit"] = 413
    worker_concurrency: Annotated[int, "unknown: requests that one load-balanced worker gets at once"] = 100
    affinity_wait_s: Annotated[float, "docs, load balancing: `strict` affinity gives up with 400"] = 300.0
    health_poll_s: Annotated[float, "unknown: seconds between two requests of /ping"] = 1.0
    health_timeout_s: Annotated[float, "unknown: seconds for an answer of /ping"] = 5.0

    @classmethod
    def read(cls, texts: Iterable[str]) -> Self:
        """Return the switches in texts like `take_hold_s=5`, the others with their defaults. Raises ValueError."""
        types = get_type_hints(cls)
        values: dict[str, Any] = {}
        for text in texts:
            name, separator, value = text.partition("=")
            if not separator or name not in types:
                raise ValueError(f"{text}: expected NAME=VALUE with a name of RunpodAssumptions")
            if types[name] is bool and value.lower() not in ("true", "false"):
                raise ValueError(f"{text}: expected true or false")
            values[name] = value.lower() == "true" if types[name] is bool else types[name](value)
        return cls(**values)

    @classmethod
    def table(cls) -> Iterator[tuple[str, str, str]]:
        """Yield rows of (name, default, source)."""
        hints = get_type_hints(cls, include_extras=True)
        for entry in dataclasses.fields(cls):
            yield entry.name, str(entry.default), hints[entry.name].__metadata__[0]
