"""The scenario of one client, drawn at random: its work, dialect, route and behavior."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from random import Random
from typing import Any, TypeVar

import orjson
from PIL import Image

from worker.workflow.prompt import Prompt


class Route(StrEnum):
    """The route that receives the request."""

    SYNC = "/generate/sync"
    ASYNC = "/generate"
    STREAM = "/generate/stream"


class RequestDialect(StrEnum):
    """The dialect of the request's body."""

    NATIVE = "native"
    STOCK = "vast"
    RUNPOD = "runpod"


class WorkKind(StrEnum):
    """What the workflow does. The value starts with the end that the job must have: `success` or an error code."""

    IMAGE = "success"
    LARGE = "success, large"
    INPUT = "success, with an input"
    SLOW = "success, slow"
    INVALID = "invalid_workflow"
    RAISING = "node_failed"
    LATE = "timeout"

    @property
    def end(self) -> str:
        """The end that the job must have."""
        return self.value.partition(",")[0]


class Behavior(StrEnum):
    """What the client does before the result.

    A client that leaves disconnects and comes back if it can. A client that repeats sends the same request again.
    """

    WAITS = "waits"
    CANCELS = "cancels"
    LEAVES = "leaves"
    REPEATS = "repeats"


WORK_WEIGHTS = {
    WorkKind.IMAGE: 720,
    WorkKind.LARGE: 40,
    WorkKind.INPUT: 100,
    WorkKind.SLOW: 8,
    WorkKind.INVALID: 70,
    WorkKind.RAISING: 58,
    WorkKind.LATE: 4,
}
ROUTE_WEIGHTS = {Route.SYNC: 50, Route.ASYNC: 25, Route.STREAM: 25}
DIALECT_WEIGHTS = {RequestDialect.NATIVE: 60, RequestDialect.STOCK: 20, RequestDialect.RUNPOD: 20}
BEHAVIOR_WEIGHTS = {Behavior.WAITS: 86, Behavior.CANCELS: 5, Behavior.LEAVES: 5, Behavior.REPEATS: 4}
INPUT_NAME = "input.png"

Kind = TypeVar("Kind")


@dataclass(frozen=True, slots=True)
class ClientScenario:
    """One client and its job. `key` is the client's own id for the job.

    `pause_s` is the time after which a client cancels or leaves.
    """

    number: int
    work: WorkKind
    route: Route
    behavior: Behavior
    body: bytes
    key: str | None
    pause_s: float

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers of the request. The job's id is a header, which is the same in every dialect."""
        return {"Content-Type": "application/json"} | ({"Idempotency-Key": self.key} if self.key else {})


def draw_scenario(number: int, random: Random) -> ClientScenario:
    """Return a random scenario with this number."""
    work, route = _choose(random, WORK_WEIGHTS), _choose(random, ROUTE_WEIGHTS)
    behavior = _choose(random, BEHAVIOR_WEIGHTS)
    dialect = RequestDialect.NATIVE if work is WorkKind.LATE else _choose(random, DIALECT_WEIGHTS)
    key = f"chaos-{number}" if random.random() < 0.4 or behavior is Behavior.REPEATS else None
    nodes = prompt(work, number, random)
    body = request(dialect, nodes, random, too_short=work is WorkKind.LATE, with_input=work is WorkKind.INPUT)
    return ClientScenario(number, work, route, behavior, orjson.dumps(body), key, random.expovariate(8.0))


def prompt(work: WorkKind, number: int, random: Random) -> Prompt:
    """Return a prompt whose result is not cached and whose filename contains the number."""
    side = random.choice((16, 64, 64, 128, 256)) if work is not WorkKind.LARGE else 512
    size: dict[str, Any] = {"width": side, "height": side, "batch_size": random.choice((1, 1, 1, 2))}
    nodes: Prompt = {
        "1": {"class_type": "EmptyImage", "inputs": {**size, "color": number % 0xFFFFFF}},
        "2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": prefix(number)}},
    }
    middle_nodes: Mapping[WorkKind, tuple[str, dict[str, Any]]] = {
        WorkKind.LARGE: ("ImageAddNoise", {"image": ["1", 0], "seed": number, "strength": 1.0}),
        WorkKind.SLOW: ("EmbeddedSleep", {"image": ["1", 0], "seconds": 0.4, "steps": random.choice((0, 10))}),
        WorkKind.LATE: ("EmbeddedSleep", {"image": ["1", 0], "seconds": 30.0, "steps": 300}),
        WorkKind.RAISING: ("EmbeddedFail", {"image": ["1", 0], "message": "simulated failure"}),
        WorkKind.INVALID: ("NoSuchNode", {"image": ["1", 0]}),
    }
    if work is WorkKind.INPUT:
        nodes["1"] = {"class_type": "LoadImage", "inputs": {"image": INPUT_NAME}}
    elif work in middle_nodes:
        class_type, inputs = middle_nodes[work]
        nodes["3"] = {"class_type": class_type, "inputs": inputs}
        nodes["2"]["inputs"]["images"] = ["3", 0]
    return nodes


def prefix(number: int) -> str:
    """Return the `filename_prefix` of a job. Each folder gets few files, because the engine lists it for every save."""
    return f"chaos/{number // 50}/n{number}n"


def request(
    dialect: RequestDialect, nodes: Prompt, random: Random, *, too_short: bool, with_input: bool
) -> dict[str, Any]:
    """Return the body of a request.

    `too_short` sets a timeout that the job exceeds. `with_input` adds the input file that the prompt names.
    """
    image = _random_image(random) if with_input else ""
    if dialect is RequestDialect.RUNPOD:
        images = {"images": [{"name": INPUT_NAME, "image": image}]} if with_input else {}
        return {"input": {"workflow": nodes, **images}}
    if dialect is RequestDialect.STOCK:
        if with_input:
            nodes["1"]["inputs"]["image"] = f"data:image/png;base64,{image}"
        return {"input": {"workflow_json": nodes, "return_outputs_as_base64": random.random() < 0.7}}
    body: dict[str, Any] = {"workflow": nodes, "output_format": random.choice(("base64", "base64", "url"))}
    timeout = {"timeout_s": 0.3} if too_short else {}
    inputs = {"inputs": {INPUT_NAME: image}} if with_input else {}
    return body | timeout | inputs


def _random_image(random: Random) -> str:
    """Return a PNG of random pixels, as base64."""
    file = io.BytesIO()
    Image.frombytes("RGB", (24, 24), random.randbytes(24 * 24 * 3)).save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()


def _choose(random: Random, weights: Mapping[Kind, int]) -> Kind:
    """Return a random key, with the probabilities given by the weights."""
    return random.choices(list(weights), list(weights.values()))[0]
