"""The order of the engine's frames, compared with the recorded sequences in tests/data."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.conformance.recorded.facts import DATA, EXCERPTS, facts
from tests.conformance.recorded.transcript import TextFrame
from tests.conformance.replaying.props import TRUNCATED_PNG
from tests.conformance.replaying.sockets import ReplaySockets
from worker.simulators.comfyui.server.serve import serve
from worker.simulators.comfyui.settings import EngineSettings

PATIENCE_S = 8.0
FLAGS = '{"type": "feature_flags", "data": {"supports_preview_metadata": true}}'
STATUSES_A_JOB = 3
"""Status frames of one prompt: when it is queued, when it starts, and when it has ended."""


@pytest.mark.parametrize("name", EXCERPTS)
async def test_frames_come_in_the_recorded_order(name: str, tmp_path: Path) -> None:
    """Each client gets the recorded frames about the same nodes in the same order."""
    recorded = json.loads((DATA / f"frames-{name}.json").read_text())
    (tmp_path / "input").mkdir()
    (tmp_path / "input" / "corrupt.png").write_bytes(TRUNCATED_PNG)
    async with (
        serve(EngineSettings(base=tmp_path, preview_method="auto")) as engine,
        aiohttp.ClientSession() as session,
        ReplaySockets(session, engine.url) as sockets,
    ):
        await _listen(sockets, recorded["clients"])
        for number, body in enumerate(recorded["posts"], start=1):
            async with session.post(f"{engine.url}/prompt", json=body) as answer:
                assert answer.status == 200
            await _job(sockets, session, engine.url, number, recorded)
        await sockets.until(lambda: facts(sockets.frames) == recorded["frames"], PATIENCE_S)
        assert facts(sockets.frames) == recorded["frames"]


async def _listen(sockets: ReplaySockets, clients: dict[str, bool]) -> None:
    """Connect the recorded clients, and wait for their first frames."""
    for client, modern in clients.items():
        await sockets.connect(client, f"/ws?clientId={client}")
        if modern:
            await sockets.send(client, FLAGS)
    greetings = {client: 1 + modern for client, modern in clients.items()}
    received = sockets.frames
    await sockets.until(lambda: all(len(received[client]) >= count for client, count in greetings.items()), PATIENCE_S)


async def _job(sockets: ReplaySockets, session: aiohttp.ClientSession, url: str, number: int, recorded: Any) -> None:
    """Wait until the submitted prompt is as far as it was in the recording at the next event."""
    if recorded["recorded"] == EXCERPTS["addressing"].scenario:
        return  # the next prompt was posted behind this one
    if recorded["recorded"] == EXCERPTS["interrupt"].scenario and number == len(recorded["posts"]):
        await sockets.until(lambda: _starts(sockets, node="4"), PATIENCE_S)
        await session.post(f"{url}/interrupt")
        return
    await sockets.until(lambda: _statuses(sockets) == 1 + STATUSES_A_JOB * number, PATIENCE_S)


def _starts(sockets: ReplaySockets, node: str) -> bool:
    frames = [frame for frame in sockets.frames["A"] if isinstance(frame, TextFrame)]
    return any(frame.kind == "executing" and frame.data["node"] == node for frame in frames)


def _statuses(sockets: ReplaySockets) -> int:
    return sum(isinstance(frame, TextFrame) and frame.kind == "status" for frame in sockets.frames["A"])
