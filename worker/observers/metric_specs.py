"""The metrics of a worker: name, type, labels, buckets and help text. docs/metrics.md has the same table."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

PREFIX = "comfy_worker_"
JOB_BUCKETS = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0)
"""Bounds in seconds, from a small image to a video that takes an hour."""
GAP_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
LAG_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0)
RATIO_BUCKETS = (0.5, 0.67, 0.8, 0.9, 1.1, 1.25, 1.5, 2.0, 4.0)
"""Bounds of a real value divided by the predicted one, or the reverse. 1 means that both are equal."""


class MetricType(StrEnum):
    """Types of Prometheus metrics."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


@dataclass(frozen=True, slots=True, eq=False)  # compared by identity: it is a key for each observation
class MetricSpec:
    """One metric. `name` has no prefix. The name of a counter ends with `_total`, as Prometheus shows it."""

    type: MetricType
    name: str
    help: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()

    @property
    def full_name(self) -> str:
        """Name with the prefix."""
        return PREFIX + self.name


def counter(name: str, text: str, *labels: str) -> MetricSpec:
    """Return the specification of a counter."""
    return MetricSpec(MetricType.COUNTER, name, text, labels)


def gauge(name: str, text: str, *labels: str) -> MetricSpec:
    """Return the specification of a gauge."""
    return MetricSpec(MetricType.GAUGE, name, text, labels)


def histogram(name: str, text: str, *labels: str, buckets: tuple[float, ...] = JOB_BUCKETS) -> MetricSpec:
    """Return the specification of a histogram."""
    return MetricSpec(MetricType.HISTOGRAM, name, text, labels, buckets)


JOBS = counter("jobs_total", "Jobs that ended, and jobs whose delivery failed.", "state", "code")
JOB_DURATION = histogram(
    "job_duration_seconds", "Time from the acceptance of a job to its end, or to its first failed delivery.", "template"
)
JOB_STAGE = histogram("job_stage_seconds", "Time that a job spent in each stage.", "stage", "template")
JOB_QUEUE = histogram("job_queue_seconds", "Time from the acceptance of a job until ComfyUI started to run it.")
NODE = histogram("node_seconds", "Time that ComfyUI needed for a node.", "class")
GPU_GAP = histogram(
    "gpu_gap_seconds",
    "Time between two runs if the second one was already waiting in ComfyUI's queue.",
    "engine",
    buckets=GAP_BUCKETS,
)
PREDICTED = histogram(
    "predicted_seconds", "Predicted time of a run, as known just before it started.", "template", "cold"
)
PREDICTION_RATIO = histogram(
    "prediction_ratio",
    "Time of a run divided by its predicted time.",
    *("template", "cold"),
    buckets=RATIO_BUCKETS,
)
PREDICTIONS = counter(
    "predictions_total", "Predicted runs, by whether they kept to the predicted 90 % quantile.", "within_p90"
)
REFUSED = counter("requests_refused_total", "Requests that got an error response.", "route", "dialect", "code")
CACHE_HITS = counter("cache_hits_total", "Files and node results that were taken from a cache.", "cache")
INPUT_FETCHES = counter("input_fetches_total", "Input files downloaded from URLs.", "code")
INPUT_BYTES = counter("input_fetched_bytes_total", "Bytes of the input files that were downloaded.")
INPUT_FETCH = histogram("input_fetch_seconds", "Time to download an input file.")
MODEL_FETCHES = counter("model_fetches_total", "Model files downloaded.", "code")
MODEL_BYTES = counter("model_fetched_bytes_total", "Bytes of the model files that were downloaded.")
MODEL_FETCH = histogram("model_fetch_seconds", "Time to download a model file.")
MODEL_LOADS = counter("model_loads_total", "Nodes that loaded models into the GPU's memory.", "tier")
MODEL_LOAD = histogram("model_load_seconds", "Time that a node needed to load models into the GPU's memory.", "tier")
DELIVERIES = counter("deliveries_total", "Attempts to deliver the files of a job.", "way", "code")
DELIVERED_BYTES = counter("delivered_bytes_total", "Bytes of the files that were delivered.", "way")
DELIVERY = histogram("delivery_seconds", "Time to deliver the files of a job.", "way")
WEBHOOKS = counter("webhook_tries_total", "Attempts to send a webhook.", "outcome")
ENGINE_STARTS = counter("engine_starts_total", "Successful starts of a ComfyUI process.", "engine")
ENGINE_START = histogram(
    "engine_start_seconds", "Time from the start of a ComfyUI process to its first response.", "engine"
)
ENGINE_LOSSES = counter(
    "engine_losses_total", "Crashes and restarts of ComfyUI, and lost connections to it.", "engine", "cause"
)
SLOWED = counter("machine_slowed_total", "Times that an engine has become slower for good, as its jobs show.", "engine")
REPORTS = counter("autoscaler_reports_total", "Load reports that were sent to the platform's autoscaler.", "result")
TASK_FAILURES = counter("task_failures_total", "Failures of background tasks.", "task")
LOOP_LAG = histogram("event_loop_lag_seconds", "Delay with which the event loop runs a timer.", buckets=LAG_BUCKETS)

BUSY = counter("gpu_busy_seconds_total", "Time in which an engine ran a job.", "engine")
IDLE = counter("gpu_idle_seconds_total", "Time in which an engine was connected and ran no job.", "engine")
COST = counter("cost_usd_total", "Cost of the time in which the engines were busy and idle, by WORKER_USD_HOUR.", "use")
SLOWDOWN = gauge(
    "machine_slowdown_ratio",
    "Time that jobs need on an engine, divided by what is known of its GPU model. 1 means as fast as expected.",
    "engine",
)

RUNNING = gauge("jobs_running", "Jobs that ComfyUI is running.")
WAITING = gauge("jobs_waiting", "Accepted jobs that ComfyUI has not started yet.")
DELIVERING = gauge("jobs_delivering", "Jobs whose files are being delivered.")
LOAD = gauge("load_units", "Total workload of all jobs that have not ended.")
QUEUE_WORK = gauge("queue_work_seconds", "Estimated time until all accepted jobs have run.")
ENGINES = gauge("engines", "ComfyUI processes that this worker uses.", "state")
DISK_FREE = gauge("disk_free_bytes", "Free bytes on the disk of the state folder.")
SET_ASIDE = gauge("journal_set_aside_jobs", "Jobs of earlier processes that the journal could not read.")
READY = gauge("ready", "1 if the worker can run a new job, else 0.")
SANDBOXED = gauge("engine_sandbox", "State of ComfyUI's sandbox. The current state has the value 1.", "state")
INFO = gauge("info", "Always 1. The version is a label.", "version")
CLIENT_COST = histogram(
    "client_cost_ratio",
    "Cost that a client told the platform's router, divided by the workload of its job, if they differ.",
    buckets=RATIO_BUCKETS,
)
REPORTED_LOAD = gauge("reported_load_units", "Workload in the last report to the platform's autoscaler.")
MAX_PERF = gauge(
    "max_perf_units", "Speed in the last report to the platform's autoscaler, in units of workload per second."
)

GPU_INFO = gauge(
    "gpu_info",
    "Always 1. A GPU that the worker can use: its model, the version of its driver, and the engine that uses it.",
    *("gpu", "uuid", "name", "driver", "engine"),
)
GPU_UP = gauge("gpu_up", "1 if the driver can read the GPU, else 0.", "gpu")
GPU_UTILIZATION = gauge(
    "gpu_utilization_ratio", "Share of the last moments in which the GPU ran any program, from 0 to 1.", "gpu"
)
GPU_MEMORY_USED = gauge("gpu_memory_used_bytes", "Memory of the GPU that is in use, by any program.", "gpu")
GPU_MEMORY_TOTAL = gauge("gpu_memory_total_bytes", "Memory of the GPU.", "gpu")
GPU_POWER = gauge("gpu_power_watts", "Power that the GPU draws.", "gpu")
GPU_ENERGY = counter("gpu_energy_joules_total", "Energy that the GPU has used since its driver was started.", "gpu")
GPU_TEMPERATURE = gauge("gpu_temperature_celsius", "Temperature of the GPU.", "gpu")
GPU_CLOCK = gauge("gpu_clock_hertz", "Clock of the GPU's processors.", "gpu")
GPU_THROTTLED = counter(
    "gpu_throttle_seconds_total", "Time in which the GPU was slower than its normal clock, by reason.", "gpu", "reason"
)

RECORDED = (
    *(JOBS, JOB_DURATION, JOB_STAGE, JOB_QUEUE, NODE, GPU_GAP, PREDICTED, PREDICTION_RATIO, PREDICTIONS),
    *(REFUSED, CACHE_HITS),
    *(INPUT_FETCHES, INPUT_BYTES, INPUT_FETCH, MODEL_FETCHES, MODEL_BYTES, MODEL_FETCH),
    *(MODEL_LOADS, MODEL_LOAD),
    *(DELIVERIES, DELIVERED_BYTES, DELIVERY, WEBHOOKS, ENGINE_STARTS, ENGINE_START, ENGINE_LOSSES, SLOWED),
    *(REPORTS, CLIENT_COST, TASK_FAILURES, LOOP_LAG),
)
"""Metrics that are updated by events and the clock."""
LIVE = (
    *(RUNNING, WAITING, DELIVERING, LOAD, QUEUE_WORK, ENGINES, DISK_FREE, SET_ASIDE, READY, SANDBOXED, INFO),
    *(REPORTED_LOAD, MAX_PERF, BUSY, IDLE, COST, SLOWDOWN),
    *(GPU_INFO, GPU_UP, GPU_UTILIZATION, GPU_MEMORY_USED, GPU_MEMORY_TOTAL, GPU_POWER, GPU_ENERGY),
    *(GPU_TEMPERATURE, GPU_CLOCK, GPU_THROTTLED),
)
"""Metrics that are read when the page is requested."""
