"""Records an engine's session: every frame and response that the worker reads."""

from __future__ import annotations

import asyncio
import io
import uuid
from dataclasses import dataclass, field

import aiohttp
import orjson

from tests.engines import EngineHandle
from tests.workflows import picture, slow


@dataclass(repr=False)
class Session:
    """A recorded session. `answers` are response bodies by route, and `frames` are parsed."""

    frames: list[dict] = field(default_factory=list)
    previews: list[bytes] = field(default_factory=list)
    answers: dict[str, list[dict]] = field(default_factory=dict)


def sent_picture() -> dict:
    """Return a workflow whose image is sent over the WebSocket."""
    workflow = picture()
    workflow["2"] = {"class_type": "SaveImageWebsocket", "inputs": {"images": ["1", 0]}}
    return workflow


def failing() -> dict:
    """Return a workflow with a node that raises."""
    workflow = picture()
    workflow["3"] = {"class_type": "EmbeddedFault", "inputs": {"image": ["1", 0], "fault": "oom;times=0"}}
    workflow["2"]["inputs"]["images"] = ["3", 0]
    return workflow


def refused() -> dict:
    """Return a workflow with an invalid value."""
    workflow = picture()
    workflow["1"]["inputs"]["width"] = -1
    return workflow


async def record(engine: EngineHandle) -> Session:
    """Run jobs of each kind and record all responses and frames."""
    session = Session()
    async with aiohttp.ClientSession() as http:

        async def ask(method: str, path: str, **more: object) -> None:
            async with http.request(method, engine.url + path, **more) as answer:
                route = "/" + path.split("/")[1]
                session.answers.setdefault(route, []).append(orjson.loads(await answer.read()))

        client = uuid.uuid4().hex
        async with http.ws_connect(f"{engine.url}/ws?clientId={client}", max_msg_size=0) as socket:
            await socket.send_json({"type": "feature_flags", "data": {"supports_preview_metadata": True}})
            for workflow in (picture(), slow(0.2, steps=2), sent_picture(), failing(), refused()):
                prompt_id = str(uuid.uuid4())
                await ask("POST", "/prompt", json={"prompt": workflow, "prompt_id": prompt_id, "client_id": client})
                await ask("GET", "/queue")
                if "prompt_id" in session.answers["/prompt"][-1]:
                    await _until_end(socket, session)
                await ask("GET", f"/history/{prompt_id}")
        await ask("GET", "/system_stats")
        await ask("GET", "/object_info/SaveImage")
        form = aiohttp.FormData()
        form.add_field("image", io.BytesIO(b"x"), filename="recorded.png")
        await ask("POST", "/upload/image", data=form)
    return session


async def _until_end(socket: aiohttp.ClientWebSocketResponse, session: Session) -> None:
    async with asyncio.timeout(60):
        async for frame in socket:
            if frame.type is aiohttp.WSMsgType.BINARY:
                session.previews.append(frame.data)
                continue
            session.frames.append(found := orjson.loads(frame.data))
            done = found["type"] == "executing" and found["data"]["node"] is None
            if done or found["type"] == "execution_error":
                return
