"""Tests of jobs on a ComfyUI that sends one malformed response or frame."""

from __future__ import annotations

import asyncio
import json
import logging
import random
import struct
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
import pytest_asyncio

from chaos.testbed.fault_proxy import KINDS, PAGE, FaultProxy, Frame, other_body, swapped_json
from tests.api.bad_input.bodies import OTHER_VALUES, PIXEL, places, swapped, with_file
from tests.conftest import Client, worker
from tests.engine.garbage.recorded import failing, sent_picture
from tests.engines import EngineHandle
from tests.workflows import picture, slow

pytestmark = pytest.mark.asyncio(loop_scope="module")

ENDS = frozenset({"executing", "executed", "execution_success", "execution_start", "execution_error", "progress"})
"""Frames without which a run has to be asked for."""

SOME = ("null", "list", "object", "deep", "long number", "page of a proxy", "redirect to a file", "cut", "in pieces")
"""For routes that a job is asked about again and again, which takes its time."""


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def relay(engine: EngineHandle) -> AsyncIterator[FaultProxy]:
    """The relay in front of the engine."""
    async with FaultProxy(engine.url) as found:
        yield found


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def client(
    engine: EngineHandle, relay: FaultProxy, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Client]:
    """A worker behind the relay, without shared folders and with short timeouts."""
    behind = replace(engine, url=relay.url)
    quick = {"silence_s": 0.2, "engine_lost_s": 0.4, "comfyui_output": None, "comfyui_input": None}
    async with worker(behind, tmp_path_factory.mktemp("worker"), **quick) as found:
        yield found


async def run(client: Client, workflow: dict, **more: object) -> tuple[int, str, int]:
    """Run a job and return its status, error code and number of outputs."""
    status, answer = await client.post("/generate/sync", {"workflow": workflow, "timeout_s": 20, **more})
    return status, answer.get("error", {}).get("code", ""), len(answer.get("outputs", ()))


async def well(client: Client, caplog: pytest.LogCaptureFixture) -> None:
    """Assert that the next job succeeds, no task has failed and nothing unexpected was logged."""
    await client.app.ready()
    assert await run(client, picture()) == (200, "", 1)
    assert client.app.tasks.problem is None
    assert [record.message for record in caplog.records if record.levelno >= logging.ERROR] == []


def silent(frame: Frame) -> Frame | None:
    """Remove the frames of runs."""
    return None if isinstance(frame, str) and json.loads(frame)["type"] in ENDS else frame


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        *(("/prompt", kind) for kind in KINDS),
        *(("/upload", kind) for kind in KINDS),
        *((path, kind) for path in ("/queue", "/history", "/object_info") for kind in SOME),
    ],
)
async def test_garbled_answers(
    client: Client, relay: FaultProxy, caplog: pytest.LogCaptureFixture, path: str, kind: str
) -> None:
    """A job succeeds or ends as engine_unavailable, never with 500, when a response is malformed."""
    if path == "/object_info":
        client.app.engines.engines[0].client.catalogs.invalidate()
    if path in {"/queue", "/history"}:
        relay.garble_frames(silent)
    relay.garble(path, KINDS[kind])
    files = {"inputs": {"pixel.png": PIXEL}} if path == "/upload" else {}
    status, code, outputs = await run(client, with_file() if files else picture(), **files)
    relay.heal()
    refused = {"/upload": "invalid_input_file", "/prompt": "invalid_workflow", "/history": "removed_by_operator"}
    assert (status, outputs) == (200, 1) or code in {"engine_unavailable", refused.get(path)}, (status, code)
    assert status in {200, 503} or kind == "error"
    await well(client, caplog)


@pytest.mark.parametrize("kind", ["page", "page of a proxy", "no JSON", "not found", "in pieces"])
async def test_garbled_files(client: Client, relay: FaultProxy, caplog: pytest.LogCaptureFixture, kind: str) -> None:
    """A page that is sent instead of a file is not delivered, and the error names the file."""
    relay.garble("/view", KINDS[kind] if kind != "no JSON" else other_body(b"{]"))
    _, job = await client.post("/generate", {"workflow": picture(), "timeout_s": 1.5})
    async with client.http.get(f"{client.app.url}/jobs/{job['id']}/events?token={job['token']}") as stream:
        await stream.read()
    status, answer = await client.get(f"/jobs/{job['id']}", job["token"])
    relay.heal()
    if kind == "in pieces":
        assert (status, len(answer["outputs"])) == (200, 1)
    else:
        assert (status, answer["error"]["code"] in {"timeout", "output_missing"}) == (422, True), answer
    await well(client, caplog)


@pytest.mark.parametrize("seed", range(6))
async def test_answers_with_another_type_at_one_place(
    client: Client, relay: FaultProxy, caplog: pytest.LogCaptureFixture, seed: int
) -> None:
    """A job ends with a defined status when one value of a response has another JSON type."""
    draw = random.Random(seed)

    def change(answer: object) -> object:
        return swapped(answer, draw.choice(list(places(answer))), draw.choice(OTHER_VALUES))

    for path in ("/prompt", "/queue", "/history", "/system_stats", "/upload"):
        relay.garble(path, swapped_json(change))
    if seed % 2:
        relay.garble_frames(silent)
    status, code, _ = await run(client, with_file(), inputs={"pixel.png": PIXEL})
    relay.heal()
    assert status in {200, 422, 503}, (status, code)
    assert code != "internal_error"
    await well(client, caplog)


class GarbageFrames:
    """Truncates frames of one kind or changes one of their values."""

    def __init__(self, draw: random.Random) -> None:
        self._draw = draw
        self._kind = draw.choice([*sorted(ENDS), "status", "binary"])

    def __call__(self, frame: Frame) -> Frame | None:
        if isinstance(frame, bytes):
            return self._binary(frame) if self._kind == "binary" else frame
        found = json.loads(frame)
        if found["type"] != self._kind:
            return frame
        if self._draw.random() < 0.2:
            return frame[: len(frame) // 2]
        place = self._draw.choice(list(places(found)))
        return json.dumps(swapped(found, place, self._draw.choice((*OTHER_VALUES, float("nan"), float("inf")))))

    def _binary(self, frame: bytes) -> bytes:
        event, length = struct.unpack_from(">II", frame)
        header = json.loads(frame[8 : 8 + length])
        place = self._draw.choice(list(places(header)))
        text = json.dumps(swapped(header, place, self._draw.choice(OTHER_VALUES))).encode()
        lie = struct.pack(">II", event, 2**32 - 1) + frame[8:]
        return self._draw.choice((frame[:7], lie, struct.pack(">II", event, len(text)) + text + b"x"))


@pytest.mark.parametrize("seed", range(6))
async def test_garbled_frames(client: Client, relay: FaultProxy, caplog: pytest.LogCaptureFixture, seed: int) -> None:
    """No job is lost when frames are malformed, and a success has its image."""
    draw = random.Random(seed)
    for workflow in (picture(), sent_picture(), failing(), slow(0.1, steps=2)):
        relay.garble_frames(GarbageFrames(draw))
        status, code, outputs = await run(client, workflow)
        relay.heal()
        ends = {
            (200, ""),
            (422, "out_of_memory"),
            (422, "output_missing"),
            (422, "node_failed"),
            (503, "engine_unavailable"),
        }
        assert (status, code) in {*ends, (503, "removed_by_operator")}
        assert status != 200 or outputs > 0
    await well(client, caplog)


@pytest.mark.parametrize("kind", ["executed", "execution_error", "binary"])
async def test_lost_frames(client: Client, relay: FaultProxy, caplog: pytest.LogCaptureFixture, kind: str) -> None:
    """Outputs in a malformed frame are read from the history, and a lost image is reported."""

    def cut(frame: Frame) -> Frame:
        told = "binary" if isinstance(frame, bytes) else json.loads(frame)["type"]
        return frame[:6] if told == kind else frame

    before = relay.garbled
    relay.garble_frames(cut)
    workflow = {"executed": picture(), "execution_error": failing(), "binary": sent_picture()}[kind]
    ends = {
        "executed": (200, "", 1),
        "execution_error": (422, "out_of_memory", 0),
        "binary": (422, "output_missing", 0),
    }
    assert await run(client, workflow) == ends[kind]
    assert relay.garbled > before
    relay.heal()
    await well(client, caplog)


async def test_a_lost_interrupt(client: Client, relay: FaultProxy, engine: EngineHandle) -> None:
    """A foreign interrupt whose frame was malformed is found in the history."""

    def cut(frame: Frame) -> Frame:
        return frame[:6] if isinstance(frame, str) and json.loads(frame)["type"] == "execution_interrupted" else frame

    before = relay.garbled
    relay.garble_frames(cut)
    running = asyncio.create_task(run(client, slow(20, steps=200)))
    async with asyncio.timeout(60):
        while not running.done() and relay.garbled == before:
            await client.http.post(f"{engine.url}/interrupt", json={})
            await asyncio.sleep(0.05)
    assert await running == (503, "removed_by_operator", 0)
    relay.heal()


@pytest.mark.parametrize(
    "frame",
    [
        "{{{",
        "null",
        "[]",
        '{"type": 1}',
        '{"type": "executing", "data": {"prompt_id": [], "node": null}}',
        '{"type": "progress", "data": {"prompt_id": {}, "value": 1, "max": 2, "node": "1"}}',
        '{"type": "status", "data": {"status": {"exec_info": {"queue_remaining": Infinity}}, "sid": [1]}}',
        '{"type": "status", "data": {"status": {"exec_info": {"queue_remaining": 1e999}}}}',
        '{"type": "executed", "data": {"prompt_id": "x", "node": ' + "[" * 2000 + "]" * 2000 + "}}",
        '{"type": "executing", "data": {"prompt_id": ' + "9" * 5000 + "}}",
        PAGE.decode(),
        b"",
        b"\0\0\0\4\xff\xff\xff\xff{}",
        b"\0\0\0\4\0\0\0\2[]",
    ],
    ids=[str(number) for number in range(14)],
)
async def test_a_frame_out_of_nowhere(
    client: Client, relay: FaultProxy, caplog: pytest.LogCaptureFixture, frame: Frame
) -> None:
    """Unknown frames are ignored, and an image over the WebSocket still arrives."""
    connections = client.app.engines.engines[0].socket.connections
    await relay.send_frame(frame)
    assert await run(client, sent_picture()) == (200, "", 1)
    assert client.app.engines.engines[0].socket.connections == connections
    await well(client, caplog)
