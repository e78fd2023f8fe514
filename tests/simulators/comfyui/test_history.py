"""The history of prompts, and the jobs of /api/jobs."""

from __future__ import annotations

from pathlib import Path

from tests.simulators.comfyui.client import EngineClient, is_event, order, picture, slow
from worker.simulators.comfyui.execution.history import MAX_ENTRIES, History, PromptOutcome
from worker.simulators.comfyui.execution.queue import QueuedPrompt


async def test_history_is_paged(client: EngineClient) -> None:
    """`max_items` alone selects the newest entries. With an offset it selects a window from the oldest."""
    ids = [(await client.run(picture(color)))["prompt"][1] for color in range(4)]
    for query, expected in [
        ("", ids),
        ("?max_items=2", ids[2:]),
        ("?max_items=2&offset=0", ids[:2]),
        ("?offset=3", ids[3:]),
        ("?max_items=0", []),
        ("?max_items=-1", []),
        ("?max_items=2&offset=9", []),
        ("?offset=-1&max_items=1", ids[3:]),
    ]:
        assert list(await client.get(f"/history{query}")) == expected, query
    assert await client.status("GET", "/history?max_items=x") == 500
    assert await client.post("/history", json={"delete": [ids[0], "unknown"]}) == (200, b"")
    assert await client.post("/history", json={"delete": ids[1]}) == (200, b"")
    assert list(await client.get("/history")) == ids[1:]
    assert await client.post("/history", json={"clear": True}) == (200, b"")
    assert await client.get("/history") == {}


async def test_history_entry_exists_at_the_last_frame(client: EngineClient) -> None:
    """The history entry exists when `executing` with node None arrives, which follows `execution_success`."""
    socket = await client.listen("A")
    for color in range(10):
        prompt_id = await client.submit(picture(color))
        frames = await socket.until_ended(prompt_id)
        assert prompt_id in await client.get(f"/history/{prompt_id}")
        assert order(frames)[-3:] == ["execution_success", "status", "executing:None"]


async def test_repeated_id_replaces_the_entry(client: EngineClient) -> None:
    """A second prompt with the same id replaces the history entry of the first."""
    first = await client.run(picture(1, "one"))
    again = await client.run(picture(2, "two"), prompt_id=first["prompt"][1])
    assert again["outputs"]["2"]["images"][0]["filename"] == "two_00001_.png"
    assert len(await client.get("/history")) == 1


async def test_failed_job_keeps_earlier_outputs(client: EngineClient) -> None:
    """The error of a failed prompt names the node, and outputs of finished nodes stay in the history."""
    graph = picture(1)
    graph["f"] = {"class_type": "EmbeddedFail", "inputs": {"image": ["1", 0], "message": "broken pipe"}}
    graph["3"] = {"class_type": "SaveImage", "inputs": {"images": ["f", 0], "filename_prefix": "never"}}
    socket = await client.listen("A")
    prompt_id = await client.submit(graph)
    frames = await socket.until_ended(prompt_id)
    assert order(frames)[-4:] == ["executing:f", "execution_error", "status", "executing:None"]
    error = frames[-3]["data"]
    assert (error["node_id"], error["node_type"], error["exception_type"]) == ("f", "EmbeddedFail", "RuntimeError")
    assert error["exception_message"] == "broken pipe\n"
    assert error["current_inputs"]["message"] == ["broken pipe"]
    assert set(error) >= {"executed", "traceback", "current_outputs", "timestamp"}
    job = await client.get(f"/api/jobs/{prompt_id}")
    assert (job["status"], list(job["outputs"]), job["execution_error"]["node_id"]) == ("failed", ["2"], "f")


async def test_prefix_outside_output_fails_in_the_node(client: EngineClient) -> None:
    """A prefix that leads out of output passes validation, and its node raises Exception."""
    entry = await client.run(picture(1, "../../evil"))
    event, error = entry["status"]["messages"][-1]
    assert (event, error["exception_type"]) == ("execution_error", "Exception")
    assert error["exception_message"].startswith("**** ERROR: Saving image outside the output folder")


async def test_jobs_list_filters_and_pages(client: EngineClient) -> None:
    """GET /api/jobs filters, sorts and pages. An invalid query gets 400, a null `extra_pnginfo` 500."""
    await client.run(picture(1))
    await client.start(slow(5.0))
    await client.submit(picture(2))
    jobs = await client.get("/api/jobs?sort_order=asc")
    assert [job["status"] for job in jobs["jobs"]] == ["completed", "in_progress", "pending"]
    assert jobs["jobs"][0]["preview_output"]["mediaType"] == "images"
    page = await client.get("/api/jobs?status=pending,completed&limit=1")
    assert page["pagination"] == {"offset": 0, "limit": 1, "total": 2, "has_more": True}
    for query in ("status=bogus", "limit=0", "limit=x", "offset=x", "sort_by=x", "sort_order=x"):
        assert await client.status("GET", f"/api/jobs?{query}") == 400
    assert await client.status("GET", "/api/jobs/nope") == 404
    await client.submit(picture(3), extra_data={"extra_pnginfo": None})
    assert await client.status("GET", "/api/jobs") == 500


async def test_cancel_returns_whether_the_job_was_found(client: EngineClient) -> None:
    """Cancelling removes a pending job, interrupts the running one, and returns false for any other id."""
    socket = await client.listen("A")
    running = await client.submit(slow(60.0, steps=600))
    pending = await client.submit(picture(1))
    await socket.until(lambda frame: is_event(frame, "progress"))
    for path, hit in [(pending, True), (pending, False), ("not-a-uuid", False), (running, True)]:
        assert await client.post(f"/api/jobs/{path}/cancel") == (200, {"cancelled": hit})
    await socket.until_ended(running)
    assert await client.post("/api/jobs/cancel", json={"job_ids": [running]}) == (200, {"cancelled": False})
    status, answer = await client.post("/api/jobs/cancel", json={"job_ids": ["x", 5]})
    assert (status, answer["invalid_ids"]) == (400, ["x", "5"])
    assert (await client.post("/api/jobs/cancel", data=b"x"))[0] == 400


def test_history_is_bounded() -> None:
    """The oldest entry is removed when the history exceeds its limit."""
    history = History()
    for number in range(MAX_ENTRIES + 5):
        history.store(QueuedPrompt(number, str(number), {}, {}, [], {}), PromptOutcome())
    assert len(history.window()) == MAX_ENTRIES + 1
    assert history.get("0") is None


async def test_text_outputs_are_previews_too(client: EngineClient, tmp_path: Path) -> None:
    """PreviewAny reports its text. SaveText reports its text and, under `files`, its file."""
    graph = {
        "1": {"class_type": "PrimitiveString", "inputs": {"value": "hé"}},
        "2": {"class_type": "PreviewAny", "inputs": {"source": ["1", 0]}},
        "3": {
            "class_type": "SaveText",
            "inputs": {"text": ["1", 0], "filename_prefix": "note", "format": "txt"},
        },
    }
    entry = await client.run(graph)
    assert entry["outputs"]["2"] == {"text": ["hé"]}
    file = {"filename": "note_00001.txt", "subfolder": "", "type": "output"}
    assert entry["outputs"]["3"] == {"text": ["hé"], "files": [file]}
    assert (client.base / "output" / "note_00001.txt").read_text(encoding="utf-8") == "hé"
