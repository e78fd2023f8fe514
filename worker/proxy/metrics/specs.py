"""The metrics of the proxy: name, type, labels, buckets and help text. docs/metrics.md has the same table."""

from __future__ import annotations

from worker.observers.metric_specs import counter, gauge, histogram

DISPATCH_BUCKETS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 2.5)

JOBS = counter(
    "proxy_jobs_total", "Jobs of the proxy that ended, by the backend that had them last.", "backend", "outcome"
)
DURATION = histogram(
    "proxy_job_duration_seconds", "Time from the acceptance of a job by the proxy to its end.", "backend"
)
DISPATCH = histogram(
    "proxy_dispatch_seconds",
    "Time from the acceptance of a job by the proxy until it is sent to its first backend.",
    buckets=DISPATCH_BUCKETS,
)
SUBMISSIONS = counter("proxy_submissions_total", "Jobs that were sent to a backend.", "backend")
ATTEMPTS = counter(
    "proxy_attempts_total", "Jobs that a backend no longer has, by how that ended.", "backend", "outcome"
)
FALLBACKS = counter(
    "proxy_fallbacks_total",
    "Jobs that were sent to another backend instead of this one, or after it.",
    "backend",
    "reason",
)
RESUBMISSIONS = counter(
    "proxy_resubmissions_total", "Jobs that were sent again, because this backend had lost them.", "backend"
)
REJECTED = counter("proxy_requests_rejected_total", "Requests that got an error of the proxy itself.", "route", "code")

OPEN_JOBS = gauge("proxy_open_jobs", "Jobs of the proxy that a backend has.", "backend")
WAITING_JOBS = gauge("proxy_waiting_jobs", "Jobs of the proxy that no backend has accepted yet.")
UP = gauge("proxy_backend_up", "1 if the backend responds, else 0.", "backend")
QUEUED = gauge("proxy_backend_queued_jobs", "Jobs of all callers that wait at the backend, as it reports.", "backend")
RUNNING = gauge("proxy_backend_running_jobs", "Jobs of all callers that run at the backend, as it reports.", "backend")

PROXY_RECORDED = (JOBS, DURATION, DISPATCH, SUBMISSIONS, ATTEMPTS, FALLBACKS, RESUBMISSIONS, REJECTED)
"""Metrics that are updated by events."""
PROXY_LIVE = (OPEN_JOBS, WAITING_JOBS, UP, QUEUED, RUNNING)
"""Metrics that are read when the page is requested. The page also has `comfy_worker_info`."""
