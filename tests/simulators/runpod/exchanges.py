"""Exchanges with RunPod in a comparable form: those of a recording, and those of the stand-in's log.

A program sends its requests on several lanes at once: it asks for jobs, for jobs to stop, and it pings, each on its own
schedule. Only the order within a lane is fixed by the protocol. What depends on the schedule is removed: polls without
a result, repeated polls, ids, times and values. See `lanes`.
"""

from __future__ import annotations

import itertools
import json
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import pytest

from tests.conftest import ROOT
from worker.simulators.runpod.call_log import RunpodCall

DATA = Path(os.environ.get("SHARED_DATA", ROOT.parent / "shared" / "data"))
RECORDINGS = DATA / "runpod-recordings"
needs_recordings = pytest.mark.skipif(not RECORDINGS.is_dir(), reason=f"no recordings at {RECORDINGS}")

JOB_ID = re.compile(r"(sync-)?[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}-[a-z]\d")
TAKES = ("job-take", "job-take-batch")
RESULTS = ("job-done", "job-stream")
POLLS = ("status", "status-sync", "stream")
KEPT_VALUES = ("job_in_progress", "batch_size", "isStream", "wait")
"""Names of the query whose values are compared. Of the others only the name is."""
ON_LATER_CALLS = "X-Request-ID"
"""A header that the SDK adds after its first result, to whichever call follows."""


@dataclass(frozen=True)
class Exchange:
    """A request, and the status and the body of its response."""

    method: str
    path: str
    headers: tuple[tuple[str, str], ...]
    body: str
    status: int
    answer: str

    @classmethod
    def recorded(cls, row: Mapping[str, Any]) -> Exchange:
        """Return an exchange of a recording."""
        headers = tuple(row["headers"].items())
        return cls(row["method"], row["path"], headers, row["body"], row["status"], row["answer"])

    @classmethod
    def logged(cls, call: RunpodCall) -> Exchange:
        """Return an exchange of the stand-in's log."""
        return cls(call.method, call.path, call.headers, call.body, call.status, call.answer)

    def header(self, name: str) -> str:
        """Return the value of a header, empty without it."""
        return next((value for key, value in self.headers if key.lower() == name.lower()), "")

    @property
    def parts(self) -> list[str]:
        """The parts of the path after the endpoint: the operation, and ids."""
        return self.path.partition("?")[0].strip("/").split("/")[2:]

    @property
    def operation(self) -> str:
        """The operation, such as `job-take`."""
        return self.parts[0]


@dataclass(frozen=True)
class RequestShape:
    """The compared parts of a request. `headers` are lower-case names, and `body` is the shape of its JSON."""

    method: str
    path: str
    query: tuple[str, ...]
    headers: tuple[str, ...] = field(repr=False)
    content_type: str
    authorization: str
    body: Any


Lanes = dict[str, list[RequestShape]]


def recording(name: str) -> list[Exchange]:
    """Return the exchanges of a recording, without its notes."""
    rows = json.loads((RECORDINGS / f"{name}.json").read_text("utf-8"))["exchanges"]
    return [Exchange.recorded(row) for row in rows if "path" in row]


def logged(calls: Iterable[RunpodCall]) -> list[Exchange]:
    """Return the exchanges of a log.

    Those with other paths come from programs that have used the port before, such as another test's load balancer.
    """
    return [Exchange.logged(call) for call in calls if call.path.startswith("/v2/")]


def lanes(exchanges: Sequence[Exchange]) -> Lanes:
    """Return the requests of each lane in order.

    Lanes of a worker are `take`, `stop`, `ping`, and one for each job: `job-1` is the first that was taken. Lanes of
    clients are named after their User-Agent.
    """
    numbers = job_numbers(exchanges)
    found: Lanes = {}
    for exchange in exchanges:
        if exchange.operation in (*TAKES, "job-stop") and exchange.status == 204:
            continue  # how often a program polls in vain depends on the time
        found.setdefault(_lane(exchange, numbers), []).append(shape_of(exchange, numbers))
    return {name: [shape for shape, _ in itertools.groupby(shapes)] for name, shapes in found.items()}


def job_numbers(exchanges: Iterable[Exchange]) -> dict[str, int]:
    """Return the number of each job id, in the order in which jobs were taken or ended."""
    ids: dict[str, int] = {}
    ordered = sorted(exchanges, key=lambda exchange: exchange.operation not in (*TAKES, *RESULTS))
    for exchange in ordered:
        for match in JOB_ID.finditer(exchange.answer if exchange.operation in TAKES else exchange.path):
            ids.setdefault(match.group(), len(ids) + 1)
    return ids


def _lane(exchange: Exchange, numbers: Mapping[str, int]) -> str:
    """Return the name of the lane of a request."""
    if exchange.operation in TAKES:
        return "take"
    if exchange.operation in RESULTS:
        return f"job-{numbers.get(exchange.parts[2], 0)}"
    if exchange.operation in ("job-stop", "ping"):
        return exchange.operation.removeprefix("job-")
    return exchange.header("User-Agent").partition("/")[0]


def shape_of(exchange: Exchange, numbers: Mapping[str, int]) -> RequestShape:
    """Return what is compared of a request."""
    operation, *ids = exchange.parts
    names = ["JOB" if JOB_ID.fullmatch(part) else "ID" for part in ids]
    query = parse_qsl(exchange.path.partition("?")[2], keep_blank_values=True)
    headers = {name.lower() for name, _ in exchange.headers}
    if operation not in RESULTS:
        headers.discard(ON_LATER_CALLS.lower())
    return RequestShape(
        method=exchange.method,
        path="/".join([operation, *names]),
        query=tuple(sorted(f"{name}={value}" if name in KEPT_VALUES else name for name, value in query)),
        headers=tuple(sorted(headers)),
        content_type=exchange.header("Content-Type").partition(";")[0],
        authorization=_key_form(exchange.header("Authorization")),
        body=body_shape(exchange.body),
    )


def _key_form(authorization: str) -> str:
    """Return how a key was sent. Recordings say it in words."""
    if not authorization:
        return "none"
    return "Bearer" if "Bearer" in authorization else "bare key"


def body_shape(body: str) -> Any:
    """Return the shape of a JSON body, `cut` for one that a recording has only in part."""
    if not body:
        return None
    try:
        return json_shape(json.loads(body))
    except ValueError:
        return "cut"


def json_shape(value: Any) -> Any:
    """Return keys and types of a JSON value. Text that is JSON itself, like the SDK's errors, is looked into."""
    if isinstance(value, dict):
        return {name: json_shape(value[name]) for name in sorted(value)}
    if isinstance(value, list):
        return [json_shape(item) for item in value]
    if isinstance(value, str) and value.startswith("{"):
        return {"text": json_shape(json.loads(value))}
    return type(value).__name__
