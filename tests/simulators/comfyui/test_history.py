"""What is kept of prompts that ran, and how it is told."""

from __future__ import annotations

from pathlib import Path

from tests.simulators.comfyui.client import Client, is_event, order, picture, slow
from worker.simulators.comfyui.execution.history import MAX_ENTRIES, History, PromptOutcome
from worker.simulators.comfyui.execution.queue import QueuedPrompt


async def test_windows_of_the_history(client: Client) -> None:
    """Oldest first; `max_items` alone takes the last ones, with an offset a window from the oldest."""
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


async def test_success_is_told_before_the_entry_is_stored(client: Client) -> None:
    """`executing null` comes after storing, `execution_success` before: only the first is a safe moment to ask."""
    socket = await client.listen("A")
    for color in range(10):
        prompt_id = await client.submit(picture(color))
        frames = await socket.until_over(prompt_id)
        assert prompt_id in await client.get(f"/history/{prompt_id}")
        assert order(frames)[-3:] == ["execution_success", "status", "executing:None"]


async def test_reused_id_overwrites_the_entry(client: Client) -> None:
    """The second run of an id is the one that the history shows."""
    first = await client.run(picture(1, "one"))
    again = await client.run(picture(2, "two"), prompt_id=first["prompt"][1])
    assert again["outputs"]["2"]["images"][0]["filename"] == "two_00001_.png"
    assert len(await client.get("/history")) == 1


async def test_failed_job_keeps_what_was_shown_before(client: Client) -> None:
    """The error names node, type and trace; outputs of finished nodes stay."""
    graph = picture(1)
    graph["f"] = {"class_type": "EmbeddedFail", "inputs": {"image": ["1", 0], "message": "broken pipe"}}
    graph["3"] = {"class_type": "SaveImage", "inputs": {"images": ["f", 0], "filename_prefix": "never"}}
    socket = await client.listen("A")
    prompt_id = await client.submit(graph)
    frames = await socket.until_over(prompt_id)
    assert order(frames)[-4:] == ["executing:f", "execution_error", "status", "executing:None"]
    error = frames[-3]["data"]
    assert (error["node_id"], error["node_type"], error["exception_type"]) == ("f", "EmbeddedFail", "RuntimeError")
    assert error["exception_message"] == "broken pipe\n"
    assert error["current_inputs"]["message"] == ["broken pipe"]
    assert set(error) >= {"executed", "traceback", "current_outputs", "timestamp"}
    job = await client.get(f"/api/jobs/{prompt_id}")
    assert (job["status"], list(job["outputs"]), job["execution_error"]["node_id"]) == ("failed", ["2"], "f")


async def test_prefix_that_leaves_the_folder_fails_in_the_node(client: Client) -> None:
    """It isn't a validation error: the node raises a plain Exception."""
    entry = await client.run(picture(1, "../../evil"))
    event, error = entry["status"]["messages"][-1]
    assert (event, error["exception_type"]) == ("execution_error", "Exception")
    assert error["exception_message"].startswith("**** ERROR: Saving image outside the output folder")


async def test_jobs_list_filters_and_pages(client: Client) -> None:
    """Statuses, limits and sorting; errors are 400 with a text; a null extra_pnginfo breaks the list."""
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


async def test_cancel_tells_whether_it_hit(client: Client) -> None:
    """Pending jobs are dequeued, the running one interrupted, others are false; bad lists are 400."""
    socket = await client.listen("A")
    running = await client.submit(slow(60.0, steps=600))
    pending = await client.submit(picture(1))
    await socket.until(lambda frame: is_event(frame, "progress"))
    for path, hit in [(pending, True), (pending, False), ("not-a-uuid", False), (running, True)]:
        assert await client.post(f"/api/jobs/{path}/cancel") == (200, {"cancelled": hit})
    await socket.until_over(running)
    assert await client.post("/api/jobs/cancel", json={"job_ids": [running]}) == (200, {"cancelled": False})
    status, answer = await client.post("/api/jobs/cancel", json={"job_ids": ["x", 5]})
    assert (status, answer["invalid_ids"]) == (400, ["x", "5"])
    assert (await client.post("/api/jobs/cancel", data=b"x"))[0] == 400


def test_history_is_bounded() -> None:
    """Beyond the limit the oldest entry goes."""
    history = History()
    for number in range(MAX_ENTRIES + 5):
        history.store(QueuedPrompt(number, str(number), {}, {}, [], {}), PromptOutcome())
    assert len(history.window()) == MAX_ENTRIES + 1
    assert history.get("0") is None


async def test_text_outputs_are_previews_too(client: Client, tmp_path: Path) -> None:
    """PreviewAny shows text; SaveText shows text and, under a key of its own, the file."""
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
