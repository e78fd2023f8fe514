"""The WebSocket: first frame, feature flags, reconnection, and log lines."""

from __future__ import annotations

from tests.simulators.comfyui.client import EngineClient, is_event, order, picture, slow


async def test_first_frame_has_the_session_id(client: EngineClient) -> None:
    """A client without an id gets one in its first `status` frame."""
    socket = await client.listen(None)
    sid = socket.frames[0]["data"]["sid"]
    assert len(sid) == 32
    prompt_id = await client.submit(picture(), sid)
    frames = await socket.until_ended(prompt_id)
    assert all("sid" not in frame["data"] for frame in frames if is_event(frame, "status"))


async def test_feature_flags_must_be_in_the_first_object(client: EngineClient) -> None:
    """Feature flags are accepted only in the first JSON object."""
    socket = await client.listen("odd")
    for text in ("not json", "[1]"):
        await socket.raw.send_str(text)
    await socket.raw.send_json({"type": "feature_flags", "data": {}})
    assert is_event(await socket.read(), "feature_flags")
    late = await client.listen("late")
    await late.raw.send_json({"type": "something"})
    await late.raw.send_json({"type": "feature_flags", "data": {}})
    assert await late.is_silent()


async def test_reconnecting_client_gets_the_running_node(client: EngineClient) -> None:
    """A reconnecting owner gets the running node without the prompt id, then the next frames."""
    socket = await client.listen("A")
    prompt_id = await client.submit(slow(1.0))
    await socket.until(lambda frame: is_event(frame, "executing") and frame["data"]["node"] == "s")
    await socket.raw.close()
    again = await client.listen("A")
    assert await again.read() == {"type": "executing", "data": {"node": "s"}}
    assert order(await again.until_ended(prompt_id))[0] == "progress_state"
    after = await client.listen("A")
    assert await after.is_silent()


async def test_second_socket_gets_no_frames_after_the_first_closes(client: EngineClient) -> None:
    """When an older socket with the same id closes, the newer one gets no more frames."""
    old = await client.listen("A")
    new = await client.listen("A")
    prompt_id = await client.submit(picture(1))
    await new.until_ended(prompt_id)
    assert await old.is_silent()
    await old.raw.close()
    await client.submit(picture(2))
    assert await new.is_silent(0.4)


async def test_websocket_route_needs_an_upgrade(client: EngineClient) -> None:
    """GET /ws without an upgrade returns 400."""
    assert await client.status("GET", "/ws") == 400


async def test_log_lines_go_to_subscribers(client: EngineClient) -> None:
    """A subscriber gets each log line as a `logs` frame."""
    socket = await client.listen("L")
    subscription = {"clientId": "L", "enabled": True}
    assert await client.status("PATCH", "/internal/logs/subscribe", json=subscription) == 200
    await client.submit(picture())
    frames = await socket.until(lambda frame: is_event(frame, "logs"))
    assert frames[-1]["data"]["entries"][0]["m"] == "\x1b[32m[INFO]\x1b[0m got prompt\n"
