"""Hints for paths of other servers: the route of this worker with the same purpose."""

from __future__ import annotations

import re
from collections.abc import Iterable
from difflib import get_close_matches

PREFIX = re.compile(r"/(api|v\d+)(?=/|$)")
RUNPOD_ENDPOINT = re.compile(r"/[^/]+(?=/(run|runsync|status|stream|cancel|retry|health|purge-queue)(/|$))")
WORK = "send the workflow to POST /generate/sync, which waits for the result, or to POST /generate, which does not"
RESULT = "{result} returns the state of a job and its result"
FILES = "send files with the workflow: in `inputs` of POST /generate/sync, or as parts of multipart/form-data"
CATALOG = "GET /capabilities describes this worker, and POST /validate checks whether a workflow can run"
MODELS = "POST /validate lists the models of a workflow, and GET /templates/{{name}} those of a template"
CANCEL = "{cancel} cancels a job, running or queued"
HEALTH = "GET /health shows whether the worker is alive, GET /ready whether a job sent now would run"
EDITOR = "this worker has no editor; " + CATALOG
PURPOSES = {
    **dict.fromkeys(("run", "runsync", "sync", "async", "submit", "execute", "predict", "predictions", "infer"), WORK),
    **dict.fromkeys(
        ("inference", "invoke", "invocations", "workflow", "workflows", "txt2img", "img2img", "sdapi"), WORK
    ),
    **dict.fromkeys(("retry", "webhook", "task", "tasks", "queue_prompt", "payload", "process"), WORK),
    "prompt": WORK + "; GET /queue-info returns the sizes of the queues",
    **dict.fromkeys(("status", "history", "job", "jobs", "results", "result", "get"), RESULT),
    **dict.fromkeys(("view", "viewvideo", "output", "outputs", "image", "images", "files", "download"), "{output}"),
    **dict.fromkeys(("ws", "websocket", "events", "progress"), "POST /generate/stream, or {events}, send its events"),
    "stream": "POST /generate/stream, or {events}, send its events",
    "queue": "GET /queue-info returns the sizes of the queues; " + RESULT + "; " + CANCEL,
    **dict.fromkeys(("object_info", "nodes", "features", "node_replacements", "embeddings", "extensions"), CATALOG),
    **dict.fromkeys(("models", "checkpoints", "loras", "view_metadata", "model"), MODELS),
    **dict.fromkeys(("upload", "assets", "input", "inputs"), FILES),
    **dict.fromkeys(("interrupt", "cancel", "purge-queue", "stop", "abort"), CANCEL),
    "free": "the worker frees memory automatically; " + CANCEL,
    **dict.fromkeys(("system_stats", "info", "version", "stats", "device"), CATALOG + "; GET /metrics has the numbers"),
    **dict.fromkeys(("ping", "healthz", "livez", "readyz", "healthcheck", "heartbeat", "live", "alive", "up"), HEALTH),
    **dict.fromkeys(("health-check", "readiness", "liveness"), HEALTH),
    **dict.fromkeys(("settings", "users", "userdata", "workflow_templates", "global_subgraphs", "i18n"), EDITOR),
    **dict.fromkeys(("internal", "customnode", "manager", "logs", "externalmodel", "snapshot", "i18n"), EDITOR),
    **dict.fromkeys(
        ("swagger", "redoc", "openapi", "openapi.yaml", "schema", "help", "index.html", ""),
        "GET /docs describes the routes",
    ),
}
"""Hints by the first part of the path, without prefixes like `/api`."""
JOB_URLS = {
    "result": "GET /jobs/{id}",
    "cancel": "DELETE /jobs/{id}",
    "events": "GET /jobs/{id}/events",
    "output": "the response of a job has its files, and GET /jobs/{id}/outputs/{n} returns one of them",
}
POST_ONLY_URLS = {
    "result": "POST /result with id and token",
    "cancel": "POST /cancel with id and token",
    "events": "POST /events with id and token",
    "output": "the response of a job has its files",
}
"""The same for a platform whose clients can only POST."""


def route_hint(path: str, route_paths: Iterable[str], *, job_urls: bool = True) -> str:
    """Return a hint for a request to an unknown path: the route of this worker that the client should use.

    `route_paths` are the paths of this worker. `job_urls` is False on a platform whose clients can only POST.
    """
    normalized = re.sub(r"/{2,}", "/", path.lower()).rstrip("/")
    routes = {route.lower(): route for route in route_paths if "*" not in route}
    while normalized not in routes and (prefix := PREFIX.match(normalized)):  # `/api/v1/generate` is `/generate`
        normalized = normalized[prefix.end() :]
    if normalized in routes:
        return f"it is {routes[normalized]}"
    normalized = RUNPOD_ENDPOINT.sub("", normalized, count=1)
    purpose = PURPOSES.get(normalized[1:].partition("/")[0])
    if purpose is not None:
        return purpose.format_map(JOB_URLS if job_urls else POST_ONLY_URLS)
    matches = get_close_matches(normalized[:100], routes, n=1, cutoff=0.7)
    return f"did you mean {routes[matches[0]]}?" if matches else "GET /openapi.json lists the routes"
