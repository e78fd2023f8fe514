"""What one client wants, drawn at random: which work, in whose words, by which route, and how it behaves meanwhile."""

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
    SYNC = "/generate/sync"
    ASYNC = "/generate"
    STREAM = "/generate/stream"


class RequestShape(StrEnum):
    NATIVE = "native"
    STOCK = "vast"
    RUNPOD = "runpod"


class Work(StrEnum):
    """What the workflow does, named after how it has to end."""

    PICTURE = "success"
    LARGE = "success, large"
    INPUT = "success, with an input"
    SLOW = "success, slow"
    BAD = "invalid_workflow"
    RAISING = "node_failed"
    LATE = "timeout"

    @property
    def end(self) -> str:
        return self.value.partition(",")[0]


class Manner(StrEnum):
    """What the client does besides waiting. Who leaves comes back where it can; who repeats sends the same again."""

    WAITS = "waits"
    CANCELS = "cancels"
    LEAVES = "leaves"
    REPEATS = "repeats"


WORKS = {
    Work.PICTURE: 720,
    Work.LARGE: 40,
    Work.INPUT: 100,
    Work.SLOW: 8,
    Work.BAD: 70,
    Work.RAISING: 58,
    Work.LATE: 4,
}
ROUTES = {Route.SYNC: 50, Route.ASYNC: 25, Route.STREAM: 25}
SHAPES = {RequestShape.NATIVE: 60, RequestShape.STOCK: 20, RequestShape.RUNPOD: 20}
MANNERS = {Manner.WAITS: 86, Manner.CANCELS: 5, Manner.LEAVES: 5, Manner.REPEATS: 4}
INPUT_NAME = "given.png"

Kind = TypeVar("Kind")


@dataclass(frozen=True, slots=True)
class ClientScenario:
    """`pause_s`: after how long the client cancels or leaves. `key` is its own id for the job."""

    number: int
    work: Work
    route: Route
    manner: Manner
    body: bytes
    key: str | None
    pause_s: float

    @property
    def headers(self) -> Mapping[str, str]:
        """The id of a job goes by header, which is the same in every shape."""
        return {"Content-Type": "application/json"} | ({"Idempotency-Key": self.key} if self.key else {})


def draw(number: int, random: Random) -> ClientScenario:
    work, route, manner = _choose(random, WORKS), _choose(random, ROUTES), _choose(random, MANNERS)
    shape = RequestShape.NATIVE if work is Work.LATE else _choose(random, SHAPES)
    key = f"chaos-{number}" if random.random() < 0.4 or manner is Manner.REPEATS else None
    body = request(shape, prompt(work, number, random), random, late=work is Work.LATE, given=work is Work.INPUT)
    return ClientScenario(number, work, route, manner, orjson.dumps(body), key, random.expovariate(8.0))


def prompt(work: Work, number: int, random: Random) -> Prompt:
    """A workflow whose file's name tells the number, and whose result was never made before."""
    side = random.choice((16, 64, 64, 128, 256)) if work is not Work.LARGE else 512
    size: dict[str, Any] = {"width": side, "height": side, "batch_size": random.choice((1, 1, 1, 2))}
    nodes: Prompt = {
        "1": {"class_type": "EmptyImage", "inputs": {**size, "color": number % 0xFFFFFF}},
        "2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": prefix(number)}},
    }
    middle: Mapping[Work, tuple[str, dict[str, Any]]] = {
        Work.LARGE: ("ImageAddNoise", {"image": ["1", 0], "seed": number, "strength": 1.0}),
        Work.SLOW: ("EmbeddedSleep", {"image": ["1", 0], "seconds": 0.4, "steps": random.choice((0, 10))}),
        Work.LATE: ("EmbeddedSleep", {"image": ["1", 0], "seconds": 30.0, "steps": 300}),
        Work.RAISING: ("EmbeddedFail", {"image": ["1", 0], "message": "asked to"}),
        Work.BAD: ("NoSuchNode", {"image": ["1", 0]}),
    }
    if work is Work.INPUT:
        nodes["1"] = {"class_type": "LoadImage", "inputs": {"image": INPUT_NAME}}
    elif work in middle:
        class_type, inputs = middle[work]
        nodes["3"] = {"class_type": class_type, "inputs": inputs}
        nodes["2"]["inputs"]["images"] = ["3", 0]
    return nodes


def prefix(number: int) -> str:
    """Few files a folder: the engine lists it to number the next one."""
    return f"chaos/{number // 50}/n{number}n"


def request(shape: RequestShape, nodes: Prompt, random: Random, *, late: bool, given: bool) -> dict[str, Any]:
    """`late`: with less time than it takes. `given`: with the file that it names, where the shape can carry one."""
    picture = _picture(random) if given else ""
    if shape is RequestShape.RUNPOD:
        images = {"images": [{"name": INPUT_NAME, "image": picture}]} if given else {}
        return {"input": {"workflow": nodes, **images}}
    if shape is RequestShape.STOCK:
        if given:
            nodes["1"]["inputs"]["image"] = f"data:image/png;base64,{picture}"
        return {"input": {"workflow_json": nodes, "return_outputs_as_base64": random.random() < 0.7}}
    body: dict[str, Any] = {"workflow": nodes, "output_format": random.choice(("base64", "base64", "url"))}
    return body | ({"timeout_s": 0.3} if late else {}) | ({"inputs": {INPUT_NAME: picture}} if given else {})


def _picture(random: Random) -> str:
    file = io.BytesIO()
    Image.frombytes("RGB", (24, 24), random.randbytes(24 * 24 * 3)).save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()


def _choose(random: Random, table: Mapping[Kind, int]) -> Kind:
    return random.choices(list(table), list(table.values()))[0]
