"""The queue: order, deletion, interrupts, and the end of the prompt thread."""

from __future__ import annotations

import asyncio
import uuid

from tests.simulators.comfyui.client import EngineClient, is_event, order, picture, slow


async def test_lowest_number_runs_first(client: EngineClient) -> None:
    """The prompt with the lowest `number` runs first, and `front` negates the number."""
    socket = await client.listen("A")
    running = await client.submit(slow(0.5))
    await socket.until(lambda frame: is_event(frame, "executing") and frame["data"]["node"] == "s")
    plain = await client.submit(picture(1))
    front = await client.submit(picture(2), front=True)
    first = await client.submit(picture(3), number=-1e9)
    pending = (await client.get("/queue"))["queue_pending"]
    assert [item[1] for item in pending] == [first, plain, front]
    ran = []
    for _ in range(4):
        frames = await socket.until(lambda frame: is_event(frame, "executing") and frame["data"]["node"] is None)
        ran.append(frames[-1]["data"]["prompt_id"])
    assert ran == [running, first, front, plain]


async def test_queue_items_have_five_elements_and_no_secrets(client: EngineClient) -> None:
    """GET /queue shows number, id, prompt, extra_data and outputs of a prompt, without API keys."""
    keys = {"api_key_comfy_org": "S1", "auth_token_comfy_org": "S2", "mine": 1}
    prompt_id = await client.start(slow(5.0), extra_data=keys)
    await client.submit(picture())
    listed = await client.get("/queue")
    number, item_id, graph, extra_data, outputs = listed["queue_running"][0]
    assert (number, item_id, outputs) == (0, prompt_id, ["2"])
    assert graph["1"]["class_type"] == "EmptyImage"
    assert set(extra_data) == {"mine", "client_id", "create_time"}
    assert await client.get("/prompt") == {"exec_info": {"queue_remaining": 2}}


async def test_deleted_prompts_have_no_history(client: EngineClient) -> None:
    """A deleted prompt has no history entry, and the running prompt cannot be deleted."""
    await client.start(slow(5.0))
    gone = await client.submit(picture())
    socket = await client.listen("B")
    assert await client.post("/queue", json={"delete": [gone, "unknown"]}) == (200, b"")
    assert order([await socket.read(), await socket.read()]) == ["status", "status"]
    assert await client.get(f"/history/{gone}") == {}
    assert (await client.post("/queue", json={"clear": True})) == (200, b"")
    assert len((await client.get("/queue"))["queue_running"]) == 1


async def test_interrupt_ends_the_prompt_between_nodes(client: EngineClient) -> None:
    """A node without progress is not interrupted. The prompt ends at the next node."""
    socket = await client.listen("A")
    prompt_id = await client.submit(slow(2.0))
    await client.inside(prompt_id)
    assert await client.post("/interrupt") == (200, b"")
    frames = await socket.until_ended(prompt_id)
    assert order(frames)[-4:] == ["executing:2", "execution_interrupted", "status", "executing:None"]
    entry = (await client.get(f"/history/{prompt_id}"))[prompt_id]
    assert entry["status"]["status_str"] == "error"
    event, data = entry["status"]["messages"][-1]
    assert (event, data["node_id"], sorted(data["executed"])) == ("execution_interrupted", "2", ["1", "s"])
    assert (await client.get(f"/api/jobs/{prompt_id}"))["status"] == "cancelled"


async def test_interrupt_ends_a_node_at_its_next_step(client: EngineClient) -> None:
    """A node that reports progress is interrupted at its next step."""
    socket = await client.listen("A")
    prompt_id = await client.submit(slow(60.0, steps=600))
    await socket.until(lambda frame: is_event(frame, "progress"))
    await client.post("/interrupt", json={"prompt_id": prompt_id})
    frames = await socket.until(lambda frame: is_event(frame, "execution_interrupted"))
    assert frames[-1]["data"]["node_id"] == "s"


async def test_interrupt_in_the_last_node_has_no_effect(client: EngineClient) -> None:
    """An interrupt during the last node has no effect on this prompt or the next one."""
    socket = await client.listen("A")
    prompt_id = await client.submit(picture(7, size=2048, batch=8))
    async with asyncio.timeout(60):
        while not list((client.base / "output").iterdir()):  # no frame says that the node has begun its work
            await asyncio.sleep(0.002)
    await client.post("/interrupt")
    await socket.until_ended(prompt_id)
    entry = (await client.get(f"/history/{prompt_id}"))[prompt_id]
    assert (entry["status"]["status_str"], len(entry["outputs"]["2"]["images"])) == ("success", 8)
    assert (await client.run(picture(9)))["status"]["status_str"] == "success"


async def test_interrupt_of_another_prompt_has_no_effect(client: EngineClient) -> None:
    """POST /interrupt with the id of a prompt that does not run returns 200 and has no effect."""
    socket = await client.listen("A")
    running = await client.submit(slow(0.5))
    queued = await client.submit(picture(1))
    for prompt_id in (queued, str(uuid.uuid4())):
        assert await client.post("/interrupt", json={"prompt_id": prompt_id}) == (200, b"")
    await socket.until_ended(queued)
    for prompt_id in (running, queued):
        entry = (await client.get(f"/history/{prompt_id}"))[prompt_id]
        assert entry["status"]["status_str"] == "success"


async def test_interrupt_without_owner_is_sent_to_all_clients(client: EngineClient) -> None:
    """All clients get `execution_interrupted` for a prompt without client id."""
    socket = await client.listen("B")
    await client.submit(slow(60.0, steps=600), None)
    await socket.until(lambda frame: is_event(frame, "progress"))
    await client.post("/interrupt")
    assert await socket.until(lambda frame: is_event(frame, "execution_interrupted"))


async def test_same_id_and_number_ends_the_prompt_thread(client: EngineClient) -> None:
    """A second prompt with the same id and number gets 500, stays queued, and ends the prompt thread."""
    socket = await client.listen("A")
    running = await client.submit(slow(30, steps=300))
    await socket.until(lambda frame: is_event(frame, "executing") and frame["data"]["node"] == "s")
    same = {"prompt_id": str(uuid.uuid4()), "number": 7}
    posted = [await client.status("POST", "/prompt", json={"prompt": picture(n)} | same) for n in range(3)]
    assert posted == [200, 500, 500]
    assert await client.status("POST", "/interrupt") == 200
    await socket.until_ended(running)
    late = (await client.post("/prompt", json={"prompt": picture(9), "number": 99}))[1]["prompt_id"]
    await asyncio.sleep(0.3)
    listed = await client.get("/queue")
    assert listed["queue_running"] == []
    assert late in [item[1] for item in listed["queue_pending"]]
    assert await client.status("GET", "/system_stats") == 200


async def test_rejected_prompts_count_for_the_number(client: EngineClient) -> None:
    """Rejected prompts count for the `number` of the next prompt."""
    assert await client.status("POST", "/prompt", json={"prompt": {}}) == 400
    _, answer = await client.post("/prompt", json={"prompt": picture()})
    assert answer["number"] == 1
    _, answer = await client.post("/prompt", json={"prompt": picture(), "number": 5})
    assert answer["number"] == 5.0


async def test_a_slot_may_be_true(client: EngineClient) -> None:
    """A link whose slot is `true` does not end the prompt thread."""
    graph = picture(1)
    graph["2"]["inputs"]["images"] = ["1", True]
    await client.post("/prompt", json={"prompt": graph, "client_id": "A"})
    assert (await client.run(picture(2)))["status"]["status_str"] == "success"
