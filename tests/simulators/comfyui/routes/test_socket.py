"""Greeting, handshake, reconnecting, and the socket that goes deaf."""

from __future__ import annotations

from tests.simulators.comfyui.client import Client, is_event, order, picture, slow


async def test_first_frame_tells_the_session_id(client: Client) -> None:
    """A client without an id gets one that is good as a client_id; later `status` frames carry no sid."""
    socket = await client.listen(None)
    sid = socket.frames[0]["data"]["sid"]
    assert len(sid) == 32
    prompt_id = await client.submit(picture(), sid)
    frames = await socket.until_over(prompt_id)
    assert all("sid" not in frame["data"] for frame in frames if is_event(frame, "status"))


async def test_feature_flags_count_only_as_the_first_object(client: Client) -> None:
    """What isn't a JSON object doesn't count; after any other object, flags are ignored."""
    socket = await client.listen("odd")
    for text in ("not json", "[1]"):
        await socket.raw.send_str(text)
    await socket.raw.send_json({"type": "feature_flags", "data": {}})
    assert is_event(await socket.read(), "feature_flags")
    late = await client.listen("late")
    await late.raw.send_json({"type": "something"})
    await late.raw.send_json({"type": "feature_flags", "data": {}})
    assert await late.silent()


async def test_reconnecting_client_is_told_the_node(client: Client) -> None:
    """The owner who comes back hears which node runs, without the prompt id, then live frames."""
    socket = await client.listen("A")
    prompt_id = await client.submit(slow(1.0))
    await socket.until(lambda frame: is_event(frame, "executing") and frame["data"]["node"] == "s")
    await socket.raw.close()
    again = await client.listen("A")
    assert await again.read() == {"type": "executing", "data": {"node": "s"}}
    assert order(await again.until_over(prompt_id))[0] == "progress_state"
    after = await client.listen("A")
    assert await after.silent()


async def test_second_socket_goes_deaf_when_the_first_closes(client: Client) -> None:
    """Delivery moves to the newer socket; when the older one closes, the newer stays open and hears nothing."""
    old = await client.listen("A")
    new = await client.listen("A")
    prompt_id = await client.submit(picture(1))
    await new.until_over(prompt_id)
    assert await old.silent()
    await old.raw.close()
    await client.submit(picture(2))
    assert await new.silent(0.4)


async def test_websocket_route_needs_an_upgrade(client: Client) -> None:
    """A plain GET is a 400."""
    assert await client.status("GET", "/ws") == 400


async def test_log_lines_go_to_subscribers(client: Client) -> None:
    """A subscriber gets each line as a `logs` frame, with ComfyUI's colours."""
    socket = await client.listen("L")
    subscription = {"clientId": "L", "enabled": True}
    assert await client.status("PATCH", "/internal/logs/subscribe", json=subscription) == 200
    await client.submit(picture())
    frames = await socket.until(lambda frame: is_event(frame, "logs"))
    assert frames[-1]["data"]["entries"][0]["m"] == "\x1b[32m[INFO]\x1b[0m got prompt\n"
